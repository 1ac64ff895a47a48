// Command tc-serial is the tsrun driver of time taggers on a serial line, or
// behind a program that writes their words.
//
//	model: tdc1   S-Fifteen TDC1   words of 32 bits, 2 ns       /dev/ttyACM0
//	model: ticc   TAPR TICC        lines of text, 10 ps or 1 ps /dev/ttyACM0
//	model: tdc2   S-Fifteen TDC2   words of 64 bits, 1/256 ns   readevents7
//
//	main, config        the program and its configuration
//	port, find, holder  a serial line: which, open, by whom, with a watchdog
//	line                what is read from it, in a goroutine of its own
//	tdc1, words         the TDC1, and its stream taken apart (pure)
//	ticc, ticc_text     the TICC, and its lines (pure)
//	tdc2, events        the TDC2, and its stream taken apart (pure)
//	outlet              tags of several channels on their way
//	simulated           simulators behind the same wires
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"tsrun/sdk"
	"tsrun/sim/tdc2"
)

// version is set at link time.
var version = "dev"

func main() {
	if len(os.Args) > 1 && os.Args[1] == tdc2.Program { // of a simulated TDC2: see tdc2Driver.simulate
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
		code := tdc2.Main(ctx, os.Args[2:], os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	sdk.Serve(plugin())
}

func plugin() sdk.Plugin {
	return sdk.Plugin{
		Name:    "tc-serial",
		Version: version,
		Summary: "Time taggers on a serial line: S-Fifteen TDC1, TAPR TICC, S-Fifteen TDC2.",
		Drivers: []sdk.DriverType{sdk.NewDriver("tc-serial", defaults(), open,
			sdk.Simulates(simulation{}, sdk.When{"port": simulated}))},
	}
}
