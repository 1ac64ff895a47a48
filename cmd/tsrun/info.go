package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"

	"tsrun/sdk/quantity"
	"tsrun/sdk/tagfile"
)

func newInfoCommand() *cobra.Command {
	var format string
	var asJSON bool
	c := &cobra.Command{
		Use:   "info FILE…",
		Short: "say what files of tags hold",
		Long: `Say what files of tags hold: channels, counts, times, order, and what they say
beside tags, such as markers and lost tags. What is remarkable of a file, such as
a header that contradicts the records, is a remark; reading goes on.

A file is read through, also behind damage where its format tells where the next
record begins. Of a damaged file it says how much is whole and where the damage
begins, and ends with exit code 1.

The formats of tag files: tsrun convert --help.`,
		Args: arguments(1, math.MaxInt, "files of tags"),
		RunE: func(c *cobra.Command, args []string) error {
			var failed []error
			for _, path := range args {
				failed = append(failed, showInfo(c.OutOrStdout(), path, format, asJSON))
			}
			return errors.Join(failed...)
		},
	}
	c.Flags().StringVar(&format, "format", "", "`FORMAT` of the files where they do not tell")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line for each file")
	return c
}

// infoAnswer is what --json prints: the file's name, what [tagfile.Info] writes,
// and an error, of which what is before it is what stands before it.
func infoAnswer(path string, info tagfile.Info, wrong error) ([]byte, error) {
	name, err := json.Marshal(struct {
		File string `json:"file"`
	}{path})
	if err != nil {
		return nil, err
	}
	held, err := json.Marshal(info)
	if err != nil {
		return nil, err
	}
	answer := append(append(name[:len(name)-1], ','), held[1:]...)
	if wrong != nil {
		said, err := json.Marshal(struct {
			Error string `json:"error"`
		}{wrong.Error()})
		if err != nil {
			return nil, err
		}
		answer = append(append(answer[:len(answer)-1], ','), said[1:]...)
	}
	return append(answer, '\n'), nil
}

func showInfo(out io.Writer, path, format string, asJSON bool) error {
	if err := runForFile(path); err != nil {
		return err
	}
	info, wrong := tagfile.Scan(path, format)
	if wrong != nil && info.Format == "" {
		return wrong
	}
	if !asJSON {
		return errors.Join(wrong, printInfo(out, path, info))
	}
	answer, err := infoAnswer(path, info, wrong)
	if err == nil {
		_, err = out.Write(answer)
	}
	return errors.Join(wrong, err)
}

func printInfo(out io.Writer, path string, i tagfile.Info) error {
	steps := ""
	if i.Resolution > 0 {
		steps = fmt.Sprintf(", steps of %g ps", i.Resolution)
	}
	fmt.Fprintf(out, "%s: %s, %s, %s%s\n", path, i.Format, quantity.Counted(i.Size, "byte"), quantity.Counted(i.Tags(), "tag"), steps)
	if err := printChannels(out, i); err != nil {
		return err
	}
	if i.Violations > 0 {
		fmt.Fprintf(out, "order       %s before the one written before, at most %s back\n", quantity.Counted(i.Violations, "tag"), lasting(i.Farthest))
	}
	if i.Pause > 0 {
		fmt.Fprintf(out, "pause       the longest is %s, from %s\n", clockReading(i.Pause), i.Moment(i.PauseFrom).Clock())
	}
	if err := printFacts(out, i); err != nil || i.Damage == nil {
		return err
	}
	d := i.Damage
	_, err := fmt.Fprintf(out, "whole       %s, %d of %s; the damage begins at byte %d%s\n", quantity.Counted(d.Records, "record"), d.Bytes, quantity.Counted(i.Size, "byte"), d.From, severalPlaces(d.Places))
	return err
}

// lasting writes a length of time, which may be beyond what a quantity can hold.
func lasting(ps uint64) string {
	if ps > math.MaxInt64 {
		return clockReading(ps)
	}
	return quantity.Time(ps).String()
}

func severalPlaces(n uint64) string {
	if n == 1 {
		return ""
	}
	return fmt.Sprintf(", in %d places", n)
}

func printChannels(out io.Writer, i tagfile.Info) error {
	for _, c := range i.Channels {
		rate := ""
		if c.Last > c.First {
			rate = fmt.Sprintf(", %.4g per s", float64(c.Tags-1)/(float64(c.Last-c.First)/1e12))
		}
		if _, err := fmt.Fprintf(out, "channel %-3d %s from %s to %s%s\n", c.Channel, quantity.Counted(c.Tags, "tag"), i.Moment(c.First).Clock(), i.Moment(c.Last).Clock(), rate); err != nil {
			return err
		}
	}
	return nil
}

func printFacts(out io.Writer, i tagfile.Info) error {
	for _, f := range i.Facts {
		lost := ""
		if f.Lost > 0 {
			lost = ", " + quantity.Counted(f.Lost, "tag")
		}
		what := fmt.Sprintf("%d, the first at %s%s", f.Count, f.First, lost)
		if f.Inputs != "" {
			what += "; of inputs " + f.Inputs + ", which are channels for who names them"
		}
		if f.Says != "" {
			what = f.Says
		}
		if _, err := fmt.Fprintf(out, "%-11s %s\n", f.Kind, what); err != nil {
			return err
		}
	}
	return nil
}
