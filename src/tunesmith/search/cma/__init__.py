"""The parts of CMA-ES."""
