"""What shows and alarms: dashboards, alerts, scrape targets."""
