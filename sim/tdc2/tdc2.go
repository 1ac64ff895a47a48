// Package tdc2 is a simulated S-Fifteen TDC2, as programs see it: the helper
// readevents7, which writes the words of the device to its standard output until
// it is told to end.
//
// What it looks at is in the environment, as the command line is the helper's
// own.
package tdc2

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/fifteen"
	"tsrun/sdk/instrument"
	"tsrun/sim/sky"
)

// Program is the name of the helper.
const Program = "readevents7"

// Environment is the variable that holds Settings as JSON. Without it there is
// the light of a recipe that describes none.
const Environment = "TSRUN_READEVENTS7"

// Settings are what the device looks at.
type Settings struct {
	Light      sky.Settings   `json:"light"`
	Controller sky.Controller `json:"controller"`
	Serial     string         `json:"serial"` // keys what the inputs detect
	Truth      string         `json:"truth"`  // file for the truth of a run, written at its end; "": none
}

const (
	round        = 10 * time.Millisecond
	ticksPerUs   = 256_000
	timeMask     = 1<<fifteen.EventTimeBits - 1
	exitMistaken = 255 // -1, as the helper ends with
)

// Main is the helper; it returns its exit code.
func Main(ctx context.Context, args []string, out, errs io.Writer) int {
	if err := Run(ctx, args, out); err != nil {
		fmt.Fprintln(errs, err)
		return exitMistaken
	}
	return 0
}

// Run is the helper, which writes to out until ctx ends.
func Run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	s, err := fromEnvironment()
	if err != nil {
		return err
	}
	return run(ctx, o, s, out)
}

func fromEnvironment() (Settings, error) {
	s := Settings{Light: sky.Settings(sdk.DefaultLight()), Serial: "SIM-TDC2"}
	if text := os.Getenv(Environment); text != "" {
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			return s, fmt.Errorf("read %s: %w", Environment, err)
		}
	}
	return s, nil
}

// card is the device at work.
type card struct {
	options
	out     *bufio.Writer
	base    uint64 // ticks at the start
	written uint64
	skipped uint64
	ledgers []*sky.Ledger
}

func run(ctx context.Context, o options, s Settings, out io.Writer) error {
	f, err := Faults.Parse(s.Controller.Faults)
	if err != nil {
		return err
	}
	if f.fails {
		return fmt.Errorf("open %s: No such file or directory", o.device)
	}
	eye, err := sky.NewEye(s.Light, s.Controller, s.Serial)
	if err != nil {
		return err
	}
	if f.late > 0 && !instrument.Pause(ctx, f.late) {
		return nil // told to end before it had begun
	}
	ns := time.Now().UnixMicro() * 1000
	start := sky.Unix(ns, 0)
	c := &card{options: o, out: bufio.NewWriterSize(out, 1<<16)}
	if o.absolute {
		c.base = uint64(ns/1000) * ticksPerUs
	}
	for input := range fifteen.Detectors {
		c.ledgers = append(c.ledgers, sky.NewLedger(input+1))
	}
	inhibited, stop := inhibition(o.wait)
	defer stop()
	clock, detections := eye.Clock(false), eye.Detections(fifteen.Detectors, start, false)
	for began := time.Now(); ; {
		ended := f.pause(ctx)
		off := inhibited()
		detections.Until(clock.Reading(sky.Now().Sub(start)).Whole, func(at int64, input int) {
			if !off && at >= 0 && !c.full() {
				c.write(uint64(at), input)
			}
		})
		err := c.out.Flush()
		if struck, err := f.strike(time.Since(began), out); struck || err != nil {
			return err
		}
		if ended || err != nil || c.full() {
			return c.tell(s.Truth, eye.Truth(1, start, false))
		}
		if ctx.Err() != nil { // it is stubborn, and will be killed
			err = c.tell(s.Truth, eye.Truth(1, start, false))
		}
		if err != nil {
			return err
		}
	}
}

func (c *card) full() bool { return c.most > 0 && c.written >= c.most }

// write writes the word of an event at ps of the card's clock.
func (c *card) write(ps uint64, input int) {
	if c.skipped < c.skip {
		c.skipped++
		return
	}
	ticks := (fifteen.PsToTicks(ps) + c.base) & timeMask
	word := uint64(fifteen.NewEvent(ticks, 1<<(input-1)))
	if c.fast {
		word |= 0x300
	}
	if c.short {
		word &^= 31 << 10
	}
	low, high := uint32(word), uint32(word>>32)
	if c.swapped && c.mode == 1 {
		low, high = high, low
	}
	switch c.mode {
	case 0:
		fmt.Fprintf(c.out, "%08x\n%08x\n", low, high)
	case 2:
		fmt.Fprintf(c.out, "%016x\n", word)
	default:
		c.out.Write(binary.LittleEndian.AppendUint64(nil, uint64(high)<<32|uint64(low)))
	}
	c.written++
	c.ledgers[input-1].Enter(ticks)
}

// tell writes the truth, whose tags are ticks. Who is killed meanwhile leaves what
// was told before.
func (c *card) tell(path string, t sky.Truth) error {
	if path == "" {
		return nil
	}
	for _, l := range c.ledgers {
		t.Channels = append(t.Channels, l.Truth())
	}
	text, err := json.Marshal(t)
	if err == nil {
		err = os.WriteFile(path+".part", text, 0o600)
	}
	if err == nil {
		err = os.Rename(path+".part", path)
	}
	return err
}
