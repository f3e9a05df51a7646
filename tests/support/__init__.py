"""What tests share: a real engine in memory under a virtual clock, tiny projects, waiting for facts."""
