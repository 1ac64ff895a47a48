package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tsrun/pipeline/align"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/sdk/tagfile"
)

// several says whether more than two channels are named.
func (f *alignFlags) several(args []string) (bool, error) {
	if dir, names := ofRun(args); dir != "" {
		return len(names) > 2, nil
	}
	if len(args) <= 2 && strings.Count(f.channel, ",") < 2 {
		return false, nil
	}
	list, err := f.sources(args, 2)
	return len(list) > 2, err
}

// alignSeveral finds the clocks of all channels on the scale of the first.
func (f *alignFlags) alignSeveral(ctx context.Context, c *cobra.Command, args []string, o align.Options) error {
	if f.by != stage.ByPairs {
		return usage("--by markers is of two channels; align each with the first")
	}
	names, pair, err := f.pairsOf(ctx, args, o)
	if err == nil {
		err = f.spareEach(args, names)
	}
	if err != nil {
		return err
	}
	var origin stage.Origin
	s, err := stage.AlignSeveral(names, func(i, k int, how stage.Look) (align.Parts, error) {
		found, of, err := pair(i, k, how)
		origin = of
		return found, err
	})
	if err != nil {
		return orEnded(ctx, failure(err))
	}
	s.Simulated = origin.Simulated
	for i := range s.Clocks {
		s.Clocks[i].Simulated = origin.Simulated
	}
	if err := f.print(c, about(c, origin), s, func(out io.Writer) error {
		return underHeading(out, stage.TrackColumns, func(out io.Writer) error { return stage.WriteTracks(out, s.Clocks) })
	}, func(out io.Writer) error { return printSeveral(out, s) }); err != nil {
		return err
	}
	if err := f.writeEach(s); err != nil {
		return err
	}
	return doubtOf(s)
}

// doubtOf is what a run would be TAINTED for; nil where there is nothing.
func doubtOf(s stage.AlignSummary) error {
	for _, c := range s.Clocks {
		if c.Refused {
			return &exitError{exitNotGood, fmt.Errorf("no clock of %s: %s; %s", c.Target, c.Reason, c.Hint)}
		}
	}
	if slices.ContainsFunc(s.Network.Cycles, func(c stage.NetworkCycle) bool { return !c.Closes }) {
		return &exitError{exitNotGood, errors.New("the clocks do not close: a pair is wrong, or light has ways of different lengths")}
	}
	return nil
}

// pairsOf names the channels, and returns what aligns two of them by their places.
func (f *alignFlags) pairsOf(ctx context.Context, args []string, o align.Options) (names []string, pair func(i, k int, how stage.Look) (align.Parts, stage.Origin, error), err error) {
	if dir, names := ofRun(args); dir != "" {
		if err := f.inRun(dir, names, 2, stage.MaxClocks); err != nil {
			return nil, nil, err
		}
		return names, func(i, k int, how stage.Look) (align.Parts, stage.Origin, error) {
			return stage.AlignRecorded(ctx, dir, [2]string{names[i], names[k]}, f.by, how.Of(o))
		}, nil
	}
	list, err := f.sources(args, 2)
	if err != nil {
		return nil, nil, err
	}
	if len(list) > stage.MaxClocks {
		return nil, nil, usage(fmt.Sprintf("%d channels are named; %d clocks are found together", len(list), stage.MaxClocks))
	}
	for _, s := range list {
		if s.path == tagfile.StandardInput {
			return nil, nil, usage("standard input is read once, and each of several channels is read with every other; write it to a file")
		}
		names = append(names, nameOf(s, list))
	}
	return names, func(i, k int, how stage.Look) (found align.Parts, of stage.Origin, err error) {
		streams, closeAll, err := open([]source{list[i], list[k]})
		defer closeAll()
		if err == nil {
			found, err = align.AlignStreams(ctx, streams[0], streams[1], how.Of(o))
		}
		return found, of, err
	}, nil
}

// nameOf calls a channel by its file, with a number where several are of files of that name.
func nameOf(s source, all []source) string {
	name, alike := filepath.Base(s.path), 0
	for _, other := range all {
		if filepath.Base(other.path) == name {
			alike++
		}
	}
	switch {
	case alike == 1:
		return name
	case s.channel != tagfile.OnlyChannel:
		return fmt.Sprintf("%s:%d", s.path, s.channel)
	}
	return s.path
}

// each says whether there is a file for each clock beside that of all.
func (f *alignFlags) each() bool {
	_, asJSON := f.form()
	return asJSON && f.path != "-"
}

// eachPath is the file of one clock.
func (f *alignFlags) eachPath(target string) string {
	return strings.TrimSuffix(f.path, ".json") + "-" + run.PlainName(target) + ".json"
}

// spareEach refuses files of clocks that would replace what is read, or each other.
func (f *alignFlags) spareEach(args, names []string) error {
	of := map[string]string{}
	for _, name := range names[1:] {
		if !f.each() {
			break
		}
		path := f.eachPath(name)
		if other, taken := of[path]; taken {
			return usage(fmt.Sprintf("the clocks of %s and %s would both be written to %s; give one of the files another name", other, name, path))
		}
		of[path] = name
		if err := spare("out", path, args); err != nil {
			return err
		}
	}
	return nil
}

// writeEach writes a file for each clock beside that of all.
func (f *alignFlags) writeEach(s stage.AlignSummary) error {
	for _, c := range s.Clocks {
		if c.Refused || !f.each() {
			continue
		}
		if err := writeWhole(f.eachPath(c.Target), func(out io.Writer) error { return json.NewEncoder(out).Encode(c) }); err != nil {
			return err
		}
	}
	return nil
}

func printSeveral(out io.Writer, s stage.AlignSummary) (err error) {
	s.Words(func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(out, format+"\n", args...)
		}
	})
	return err
}
