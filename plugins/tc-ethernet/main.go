// Command tc-ethernet is the tsrun driver of ID Quantique ID900 and ID1000
// Time Controllers.
//
// The Time Controller takes SCPI text over ZeroMQ. Its raw time tags travel by
// a private protocol to the vendor's DataLinkTarget service on this PC, which
// takes commands of its own and hands the tags on as ZeroMQ messages:
//
//	tc-ethernet ── SCPI, REQ ─────────▶ Time Controller :5555
//	            ── commands, REQ ─────▶ DataLinkTarget  :6060
//	            ◀─ tags, PAIR ───────── DataLinkTarget  :4242…4245, one port an input
//
// The service delivers tags when a record ends, and every record starts again
// at 0 ps. So an acquisition is a train of short records, and the time of a
// tag is its value plus the period times the number of its record. That number
// is not in the data; numbering.go is about finding it without guessing.
//
//	main, config       the program and its configuration
//	scpi, dlt          the two command languages, over an instrument.Client each
//	driver, simulated  open, describe, close; a simulator behind the same wires
//	plan, arm, start   set up the records and the START pulse
//	numbering, timing  which record a message belongs to (pure)
//	stream, lane       messages of one channel, numbered and sent on
//	acquire, ending    start, watch, stop, and account for what is missing
package main

import "tsrun/sdk"

// version is set at link time.
var version = "dev"

func main() { sdk.Serve(plugin()) }

func plugin() sdk.Plugin {
	return sdk.Plugin{
		Name:    "tc-ethernet",
		Version: version,
		Summary: "ID Quantique ID900 and ID1000 Time Controllers over Ethernet.",
		Drivers: []sdk.DriverType{sdk.NewDriver("tc-ethernet", defaults(), open,
			sdk.Simulates(simulation{}, sdk.When{"address": simulated}))},
	}
}
