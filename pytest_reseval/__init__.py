"""Resource-aware agent evaluation as a pytest plugin."""
