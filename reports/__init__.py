"""Report pages: reads results and statistics, never ``bench.load`` or ``bench.db``; the only package that uses matplotlib.

``bench.reports.write.write_reports(run_dir)`` writes report.html, report.md and summary.json.
"""
