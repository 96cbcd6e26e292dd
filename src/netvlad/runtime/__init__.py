"""What every room stands on: files, locks, worker processes, progress, downloads."""
