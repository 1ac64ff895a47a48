// Package quantity turns what a recipe says with units ("48.2 ns", "120 mV",
// "12 ppb") into exact integers, and back.
//
// Each kind of quantity is an integer type of its smallest unit. All of them
// marshal to and from the text a recipe holds, so a struct of quantities reads
// recipes, JSON configs and command-line flags alike. Nothing is ever rounded:
// what is finer than the smallest unit is an error.
package quantity

// Time is a span of time in picoseconds.
type Time int64

// Voltage is in microvolts.
type Voltage int64

// Frequency is a rate in millihertz.
type Frequency int64

// Size is in bytes.
type Size int64

// Share is a part of a whole in parts per million ("60 %" is 600000).
type Share int64

// Drift is a relative frequency difference in parts per 1e15 ("12 ppb" is 12000000).
type Drift int64
