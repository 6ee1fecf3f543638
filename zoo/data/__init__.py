"""Read corpora as researchers have them on disk, divide them by protocols, and make batches of them."""
