try FormatBenchmarks.run()
