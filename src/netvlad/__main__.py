"""`python -m netvlad` runs the command."""

from netvlad.cli.main import main

if __name__ == "__main__":
    main()
