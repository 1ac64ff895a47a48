package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"tsrun/pipeline/align"
	"tsrun/pipeline/quantity"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/tagfile"
)

type alignFlags struct {
	tagFiles
	search quantity.Time
	drift  quantity.Drift
	by     string
	out    string
	asJSON bool
}

func newAlignCommand() *cobra.Command {
	f := alignFlags{search: quantity.Time(align.DefaultSearch), drift: align.DefaultMaxDrift}
	c := &cobra.Command{
		Use:   "align A [B]",
		Short: "find B's clock on A's scale from the photons both recorded",
		Long: `Find B's clock on A's scale from the photons both recorded.

The offset is B minus A at a time of A's clock, and is what to subtract from B;
a positive frequency means that B's clock runs fast. Without enough evidence
there is no answer but a reason, and exit code 3.` + tagFilesHelp,
		RunE: func(c *cobra.Command, args []string) error { return runAlign(c, args, f) },
	}
	f.add(c)
	c.Flags().TextVar(&f.search, "search", f.search, "the offset at the start lies within plus or minus this `TIME`")
	c.Flags().TextVar(&f.drift, "max-drift", f.drift, "the clocks' frequencies differ by at most this `PART`")
	c.Flags().StringVar(&f.by, "by", recipe.ByPairs, "pairs: of photons; markers: both record one signal, such as a pulse per second")
	c.Flags().StringVarP(&f.out, "out", "o", "", "write the answer to this file too, as JSON, with every knot of the track; a refusal writes none")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object, without the knots")
	return c
}

// alignAnswer is what --json prints. When Refused, only Reason, Hint and Code
// are there.
type alignAnswer struct {
	Refused bool   `json:"refused"`
	Code    string `json:"code,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Hint    string `json:"hint,omitempty"`
	*align.Alignment
}

func runAlign(c *cobra.Command, args []string, f alignFlags) error {
	o := align.Options{Search: int64(f.search), MaxDrift: f.drift}
	if err := o.Check(); err != nil {
		return &exitError{exitUsage, err}
	}
	if f.by != recipe.ByPairs && f.by != recipe.ByMarkers {
		return usage(fmt.Sprintf("--by %q: write %s or %s", f.by, recipe.ByPairs, recipe.ByMarkers))
	}
	ctx, cancel := interruptible(c.Context())
	defer cancel()
	found, unaligned := f.clock(ctx, args, o, f.by)
	answer := alignAnswer{Alignment: &found.Alignment}
	var refusal *align.Refusal
	if errors.As(unaligned, &refusal) {
		answer = alignAnswer{Refused: true, Code: refusal.Code, Reason: refusal.Reason, Hint: refusal.Hint}
	} else if unaligned != nil {
		return failure(unaligned)
	}
	var err error
	if f.out != "" && !answer.Refused {
		err = writeAnswer(f.out, answer)
	}
	switch {
	case err != nil:
	case f.asJSON:
		answer.Alignment = answer.WithoutKnots()
		err = json.NewEncoder(c.OutOrStdout()).Encode(answer)
	case !answer.Refused:
		err = printAlignment(c.OutOrStdout(), found.Alignment)
	}
	switch {
	case err != nil:
		return &exitError{exitOther, err}
	case answer.Refused && f.asJSON:
		return &exitError{exitNotGood, nil} // the answer has said why
	case answer.Refused:
		return &exitError{exitNotGood, fmt.Errorf("no alignment: %w", refusal)}
	}
	return nil
}

// clock finds B's clock on A's scale by what their channels recorded: pairs of
// photons or, by markers, one signal.
func (f *tagFiles) clock(ctx context.Context, args []string, o align.Options, by string) (align.Parts, error) {
	if dir, names := ofRun(args); dir != "" {
		if err := f.inRun(dir, names, 2, 2); err != nil {
			return align.Parts{}, err
		}
		return run.AlignRecorded(ctx, dir, [2]string(names), by, o)
	}
	a, b, err := f.both(args)
	if err != nil {
		return align.Parts{}, err
	}
	if by == recipe.ByMarkers {
		return byMarkers(ctx, a, b, o)
	}
	streams, closeAll, err := open([]source{a, b})
	defer closeAll()
	if err != nil {
		return align.Parts{}, err
	}
	return align.AlignStreams(ctx, streams[0], streams[1], o)
}

func byMarkers(ctx context.Context, a, b source, o align.Options) (align.Parts, error) {
	tagsA, err := tagfile.ReadAll(a.path, a.format, a.channel)
	if err != nil {
		return align.Parts{}, err
	}
	tagsB, err := tagfile.ReadAll(b.path, b.format, b.channel)
	if err != nil {
		return align.Parts{}, err
	}
	found, err := align.AlignMarkers(ctx, tagsA, tagsB, o)
	return align.Parts{Alignment: found, Count: 1}, err
}

// writeAnswer writes all of an answer to a file, or nothing.
func writeAnswer(path string, answer alignAnswer) error {
	text, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	return run.WriteAtomic(path, append(text, '\n'))
}

// printAlignment says what was found, for a person.
func printAlignment(out io.Writer, r align.Alignment) error {
	var text strings.Builder
	seconds := float64(r.Overlap) / 1e12
	fmt.Fprintf(&text, `B minus A    %s, that is %s, when A shows %s
frequency    %s
at start     %s, when A shows %s
pairs        %d in %.4g s, %.4g per s; %.3g more by chance; jitter %.3g ps
certainty    %.3g standard deviations beyond chance
straightness chi-square %.4g for %d degrees of freedom
`,
		withSD(r.Offset.Float(), r.OffsetSD, "ps"), quantity.Time(r.Offset.Whole), clockReading(r.Reference),
		frequency(r.Frequency, r.FrequencySD),
		withSD(r.StartOffset.Float(), r.StartSD, "ps"), clockReading(r.Start),
		r.Pairs, seconds, float64(r.Pairs)/seconds, r.Accidentals, r.Jitter,
		r.Significance, r.ChiSquare, r.Freedom)
	if r.Period > 0 {
		fmt.Fprintf(&text, "period       %.6g ps between pulses or markers; another one would explain %.3g of the pairs\n", r.Period, r.Ambiguity)
	}
	if r.Track != nil {
		printTrack(&text, r.Track)
	}
	if r.Warning != "" {
		fmt.Fprintf(&text, "warning      %s\n", r.Warning)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// frequency says which way B's clock goes wrong.
func frequency(ppb, sd float64) string {
	if ppb < 0 {
		return withSD(ppb, sd, "ppb") + ": B's clock runs slow"
	}
	return withSD(ppb, sd, "ppb") + ": B's clock runs fast"
}

// clockReading writes a tag as seconds, exactly.
func clockReading(t uint64) string {
	const second = 1_000_000_000_000
	return fmt.Sprintf("%d.%012d s", t/second, t%second)
}
