"""What a person sees: pages, tables, progress and errors. Nothing here decides or writes."""
