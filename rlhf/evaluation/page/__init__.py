"""What `report.html` is made of: words in two languages, charts, marked differences, templates."""
