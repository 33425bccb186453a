"""What people read: terminal summary, pages, workbook."""
