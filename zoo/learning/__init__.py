"""Learning from few labels: which clips to ask people about, and which ones the machine may label itself."""
