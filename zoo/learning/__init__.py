"""Learn from few labels: which clips people should label, and which ones the machine may label itself."""
