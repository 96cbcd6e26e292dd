"""A service over HTTP that tells where photos were taken, and its page: needs `pip install 'netvlad[serve]'`."""
