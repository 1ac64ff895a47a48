package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tsrun/pipeline/align"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/text"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

type alignFlags struct {
	tagFiles
	search quantity.Time
	drift  quantity.Drift
	by     string
	output
}

func newAlignCommand() *cobra.Command {
	f := alignFlags{search: quantity.Time(align.DefaultSearch), drift: align.DefaultMaxDrift}
	c := &cobra.Command{
		Use:   "align A [B ...]",
		Short: "find B's clock on A's scale from the photons both recorded; the clocks of several together",
		Long: `Find B's clock on A's scale from the photons both recorded.

The offset is B minus A at a time of A's clock, and is what to subtract from B;
a positive frequency means that B's clock runs fast. Without enough evidence
there is no answer but a reason, and exit code 3; --out then writes no file. What
--out FILE.json writes is what other commands take as --align FILE.json.

Of three channels and more the clocks are found together, on A's scale, from the
light of every two of them, as a recipe's stage align does with targets; --out FILE.json
then writes FILE-NAME.json for each clock beside it, which --align takes.` + manyFilesHelp,
		RunE: func(c *cobra.Command, args []string) error { return runAlign(c, args, f) },
	}
	f.tagFiles.addMany(c, stage.MaxClocks)
	c.Flags().TextVar(&f.search, "search", f.search, "the offset at the start lies within plus or minus this `TIME`")
	c.Flags().TextVar(&f.drift, "max-drift", f.drift, "the clocks' frequencies differ by at most this `PART`; 0ppb: both follow one reference")
	c.Flags().StringVar(&f.by, "by", stage.ByPairs, "`WHAT`: pairs of photons, or markers: both record one signal, such as a pulse per second")
	f.output.add(c, strings.Join(stage.KnotColumns, ",")+" per knot of the track", "offset, frequency, their deviations, and the track with its knots")
	return c
}

func runAlign(c *cobra.Command, args []string, f alignFlags) error {
	o := align.Options{Search: int64(f.search), MaxDrift: f.drift}
	if err := o.Check(); err != nil {
		return &exitError{exitUsage, err}
	}
	if f.by != stage.ByPairs && f.by != stage.ByMarkers {
		return usage(fmt.Sprintf("--by %q: write %s or %s", f.by, stage.ByPairs, stage.ByMarkers))
	}
	ctx, cancel := interruptible(c.Context())
	defer cancel()
	if several, err := f.several(args); err != nil || several {
		if err != nil {
			return err
		}
		return f.alignSeveral(ctx, c, args, o)
	}
	summary, origin, err := f.clock(ctx, args, o, f.by)
	_, asJSON := f.form()
	switch {
	case err != nil:
		return orEnded(ctx, failure(err))
	case summary.Refused && asJSON && f.path == "-":
		if err := f.print(c, about(c, origin), summary, nil, nil); err != nil {
			return err
		}
		return &exitError{exitNotGood, nil} // the answer has said why
	case summary.Refused:
		return &exitError{exitNotGood, fmt.Errorf("no alignment: %s; %s", summary.Reason, summary.Hint)}
	}
	return f.print(c, about(c, origin), summary, func(out io.Writer) error { return writeTrack(out, summary.Alignment.Track) },
		func(out io.Writer) error { return printAlignment(out, *summary.Alignment) })
}

// writeTrack writes a line for each knot; a clock that was not followed has none.
func writeTrack(out io.Writer, t *track.Track) error {
	return underHeading(out, strings.Join(stage.KnotColumns, ","), func(out io.Writer) error {
		if t == nil {
			return nil
		}
		return stage.WriteKnots(out, t.Knots)
	})
}

// clock finds B's clock on A's scale by what their channels recorded: pairs of
// photons or, by markers, one signal. A refusal is an answer, too.
func (f *tagFiles) clock(ctx context.Context, args []string, o align.Options, by string) (s stage.AlignSummary, of stage.Origin, err error) {
	found, of, err := f.alignment(ctx, args, o, by)
	a, b := filepath.Base(args[0]), filepath.Base(args[len(args)-1])
	if dir, names := ofRun(args); dir != "" && len(names) == 2 {
		a, b = names[0], names[1]
	}
	s, err = stage.NewAlignSummary(a, b, found.Alignment, err)
	s.Parts, s.Simulated = found.Count, of.Simulated
	return s, of, err
}

func (f *tagFiles) alignment(ctx context.Context, args []string, o align.Options, by string) (found align.Parts, of stage.Origin, err error) {
	if dir, names := ofRun(args); dir != "" {
		if err := f.inRun(dir, names, 2, 2); err != nil {
			return found, of, err
		}
		found, of, err := stage.AlignRecorded(ctx, dir, [2]string(names), by, o)
		if names[0] == names[1] {
			notes([]string{oneRecord})
		}
		notes(of.Words)
		return found, of, err
	}
	a, b, err := f.both(args)
	if err != nil {
		return found, of, err
	}
	find := align.AlignStreams
	if by == stage.ByMarkers {
		find = align.AlignMarkerStreams
	}
	if r := recordsOf([]source{a, b}); r[0] == r[1] {
		notes([]string{oneRecord})
	}
	streams, closeAll, err := open([]source{a, b})
	defer closeAll()
	if err == nil {
		found, err = find(ctx, streams[0], streams[1], o)
	}
	return found, of, err
}

// oneRecord is said where a record is aligned with itself, as a test may do.
const oneRecord = "A and B are one record, which keeps step with itself; of two clocks that says nothing"

// printAlignment says what was found, for a person.
func printAlignment(out io.Writer, r align.Alignment) error {
	var words strings.Builder
	seconds := float64(r.Overlap) / 1e12
	fmt.Fprintf(&words, `B minus A    %s, that is %s, when A shows %s
frequency    %s
at start     %s, when A shows %s
pairs        %d in %.4g s, %.4g per s; %.3g more by chance; jitter %.3g ps
certainty    %.3g standard deviations beyond chance
straightness chi-square %.4g for %d degrees of freedom
`,
		text.Measured(r.Offset.Float(), r.OffsetSD, "ps"), quantity.Time(r.Offset.Whole), clockReading(r.Reference),
		frequency(r.Frequency, r.FrequencySD),
		text.Measured(r.StartOffset.Float(), r.StartSD, "ps"), clockReading(r.Start),
		r.Pairs, seconds, float64(r.Pairs)/seconds, r.Accidentals, r.Jitter,
		r.Significance, r.ChiSquare, r.Freedom)
	if r.Period > 0 {
		fmt.Fprintf(&words, "period       %.6g ps between pulses or markers; another one would explain %.3g of the pairs\n", r.Period, r.Ambiguity)
	}
	if r.Track != nil {
		printTrack(&words, r.Track)
	}
	if r.Warning != "" {
		fmt.Fprintf(&words, "warning      %s\n", r.Warning)
	}
	_, err := io.WriteString(out, words.String())
	return err
}

// frequency says which way B's clock goes wrong.
func frequency(ppb, sd float64) string {
	switch found := text.Measured(ppb, sd, "ppb"); {
	case !text.Certain(ppb, sd):
		return found + ": neither clock is seen to run fast"
	case ppb < 0:
		return found + ": B's clock runs slow"
	default:
		return found + ": B's clock runs fast"
	}
}

// clockReading writes a tag as seconds, exactly.
func clockReading(t uint64) string {
	const second = 1_000_000_000_000
	return fmt.Sprintf("%d.%012d s", t/second, t%second)
}
