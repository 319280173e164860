"""The tests: unit, integration, concurrency, web, migrations, browser, faults."""
