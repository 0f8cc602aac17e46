"""What a person sees: bars, tables, errors, summaries. It is told values and computes none."""
