package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tsrun/pipeline/host"
	"tsrun/pipeline/stage"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tagfile"
)

type convertFlags struct {
	format, outFormat      string
	channels               string
	from, to, shift        quantity.Time
	force, salvage, asJSON bool
}

func newConvertCommand() *cobra.Command {
	var f convertFlags
	c := &cobra.Command{
		Use:   "convert IN OUT | RUN CHANNEL OUT",
		Short: "write the tags of one file in the format of another",
		Long: `Write the tags of one file in the format of another, in order of time. IN - is
standard input and OUT - standard output; the report then goes to standard error.
With a run directory first, CHANNEL is one of its channels, as alice.signal, with
all its segments; it becomes channel 1, on its own clock.

OUT appears when it is whole. What its format cannot hold is an error and not
left out: a channel, a time, a second channel; times below 0, which --shift raises.
Times are rounded where the
format's steps are coarser than 1 ps, and that is said.

` + formatsHelp() + "\n  " + host.ConvertersHelp,
		Example: `  tsrun convert alice.ptu alice.tags
  tsrun convert alice.tags signal.npy --channel 1 --from '10 s' --to '20 s'`,
		Args: func(c *cobra.Command, args []string) error {
			if run, _ := ofRun(args); run != "" {
				return arguments(3, 3, "a run, one of its channels and a file to write")(c, args)
			}
			return arguments(2, 2, "a file to read and one to write")(c, args)
		},
		ValidArgsFunction: completeChannels,
		RunE:              func(c *cobra.Command, args []string) error { return runConvert(c, args, f) },
	}
	flags := c.Flags()
	flags.StringVar(&f.format, "format", "", "`FORMAT` of IN where the file does not tell")
	flags.StringVar(&f.outFormat, "out-format", "", "`FORMAT` of OUT where its name does not tell")
	flags.StringVar(&f.channels, "channel", "", "only these channels: `N,M,...`; m1 to m4 are the marker inputs of a PicoQuant file, which become channels 101 to 104")
	flags.TextVar(&f.from, "from", f.from, "no tags before this `TIME` of the file's clock, as \"10 s\"")
	flags.TextVar(&f.to, "to", f.to, "no tags after this `TIME`")
	flags.TextVar(&f.shift, "shift", f.shift, "add this `TIME` to every time that is written; below 0: take it off")
	flags.BoolVar(&f.force, "force", false, "replace OUT when it is there")
	flags.BoolVar(&f.salvage, "salvage", false, "when IN is damaged, write what is whole: what stands before the damage and, where records are found again, behind it")
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON object: read, written, rounded, shift_ps")
	return c
}

func runConvert(c *cobra.Command, args []string, f convertFlags) error {
	first, last := given(c, "from", f.from), given(c, "to", f.to)
	if first != nil && last != nil && *last < *first {
		return &exitError{exitUsage, fmt.Errorf("--from %s --to %s: nothing lies between", f.from, f.to)}
	}
	channels, err := channelNumbers(f.channels)
	if err != nil {
		return err
	}
	out, report, output := args[len(args)-1], c.OutOrStdout(), io.Writer(nil)
	if out == "-" {
		out, report, output = "standard output", c.ErrOrStderr(), c.OutOrStdout()
	}
	o := tagfile.ConvertOptions{
		Output: output,
		From:   f.format, To: f.outFormat, Channels: channels, First: first, Last: last, Shift: int64(f.shift),
		Replace: f.force, Salvage: f.salvage, Progress: showProgress(os.Stderr, term.IsTerminal(int(os.Stderr.Fd()))),
	}
	ctx, stop := interruptible(c.Context())
	defer stop()
	if o.Through, err = host.Converter(ctx, args[len(args)-1], f.outFormat); err != nil {
		return failure(err)
	}
	r, err := f.convert(ctx, args, out, o)
	if err == nil && f.asJSON {
		err = json.NewEncoder(report).Encode(r)
	} else if err == nil {
		err = printReport(report, args[0], out, r)
	}
	if err != nil {
		return orEnded(ctx, err)
	}
	if r.Damage != "" {
		return &exitError{exitNotGood, errors.New(writtenOf(r))}
	}
	return nil
}

// given is the time of a flag in ps, where it was given.
func given(c *cobra.Command, flag string, value quantity.Time) *int64 {
	if !c.Flags().Changed(flag) {
		return nil
	}
	return new(int64(value))
}

// convert writes a file, or a channel of a run.
func (f *convertFlags) convert(ctx context.Context, args []string, out string, o tagfile.ConvertOptions) (tagfile.Report, error) {
	dir, names := ofRun(args)
	if dir == "" {
		if err := runForFile(args[0]); err != nil {
			return tagfile.Report{}, err
		}
		return tagfile.Convert(ctx, args[0], out, o)
	}
	if f.channels != "" || f.format != "" || f.salvage {
		return tagfile.Report{}, usage("--channel, --format and --salvage are of files; the channel of a run is named, as alice.signal")
	}
	opened, err := stage.OpenRecorded(ctx, dir, names[:1], nil, true)
	if err != nil {
		return tagfile.Report{}, err
	}
	notes(opened.Words)
	o.About = opened.About(names[0])
	r, err := tagfile.ConvertTags(ctx, opened.Channels[0].Tags, names[0], out, o)
	return r, errors.Join(err, opened.Close())
}

// writtenOf says what of a damaged file was written.
func writtenOf(r tagfile.Report) string {
	d := r.Read.Damage
	if d == nil || d.From == d.Bytes {
		return "only what stands before the damage was written: " + r.Damage
	}
	return fmt.Sprintf("only what is whole was written, %s of %d of %s: %s", quantity.Counted(d.Records, "record"), d.Bytes, quantity.Counted(r.Read.Size, "byte"), r.Damage)
}

// channelNumbers reads a list of channels; none for "".
func channelNumbers(text string) ([]int, error) {
	if text == "" {
		return nil, nil
	}
	var channels []int
	for part := range strings.SplitSeq(text, ",") {
		n, err := channelNumber(part)
		if err != nil {
			return nil, err
		}
		channels = append(channels, n)
	}
	return channels, nil
}

// showProgress writes how far a long file is, on a terminal, in place.
func showProgress(out io.Writer, terminal bool) func(done, of int64) {
	if !terminal {
		return nil
	}
	last, shown := time.Now(), false
	return func(done, of int64) {
		if end := done >= of; end && shown {
			fmt.Fprint(out, "\r\x1b[K")
			shown = false
		} else if now := time.Now(); !end && now.Sub(last) >= redrawEvery {
			fmt.Fprintf(out, "\r%3d %% of %d MB", 100*done/max(of, 1), of/1e6)
			last, shown = now, true
		}
	}
}

func printReport(out io.Writer, in, name string, r tagfile.Report) error {
	fmt.Fprintf(out, "%s: %s, %s, %s\n", name, r.Written.Format, quantity.Counted(r.Written.Size, "byte"), quantity.Counted(r.Written.Tags(), "tag"))
	if err := printChannels(out, r.Written); err != nil {
		return err
	}
	if r.Rounded > 0 {
		fmt.Fprintf(out, "rounded     %s to the steps of the format, %g ps\n", quantity.Counted(r.Rounded, "tag"), r.Written.Resolution)
	}
	if r.Added != 0 {
		fmt.Fprintf(out, "shift       times are more by %s, as was asked for\n", quantity.Time(r.Added))
	}
	if r.Shift > 0 {
		fmt.Fprintf(out, "shift       times are less by %d ps, because the format's counter wraps\n", r.Shift)
	}
	if len(r.Read.Facts) > 0 {
		fmt.Fprintf(out, "not carried over, what %s says beside tags:\n", in)
	}
	return printFacts(out, r.Read)
}
