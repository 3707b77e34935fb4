internal import Glibc

/// The decimal logarithm.
func logarithm(_ value: Double) -> Double { log10(value) }

/// Ten to a power.
func exponential(_ value: Double) -> Double { pow(10, value) }
