package main

// tables are all that is measured, in the order of printing.
var tables = []table{
	g2Light,
	g2Pairs,
	steady,
	shapes,
	jumps,
	markers,
	losses,
	pulsed,
	lasers,
	sparse,
	trains,
	nothing,
	chance,
	long,
	strong,
	coarse,
	quiet,
	quietElsewhere,
	skewed,
	wide,
	clocks,
	starts,
	network,
}
