package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/text"
	"tsrun/sdk/quantity"
)

// ofRun takes words apart that begin with a run directory: the run and its
// channels. dir is "" where the first is no directory.
func ofRun(args []string) (dir string, names []string) {
	if len(args) > 0 {
		if info, err := os.Stat(args[0]); err == nil && info.IsDir() {
			return args[0], args[1:]
		}
	}
	return "", nil
}

// runForFile says what to type where a run directory stands in the place of a
// file of tags, or a channel of one, as RUN:CHANNEL. It is nil of anything else.
func runForFile(path string) error {
	if run.IsRun(path) {
		return fmt.Errorf("%s is a run directory, not a file of tags; tsrun report %s shows what was found, tsrun runs lists runs, and its channels are named behind it, with the run first: tsrun histogram %s CHANNEL CHANNEL", path, path, path)
	}
	colon := strings.LastIndexByte(path, ':')
	if _, err := os.Stat(path); err == nil || colon < 0 || !run.IsRun(path[:colon]) {
		return nil
	}
	return fmt.Errorf("%s is no file; a channel of a run is named behind the run, as: tsrun rates %s %s", path, path[:colon], path[colon+1:])
}

// inRun says whether so many channels of a run are named, and nothing is asked
// that is of files.
func (f *tagFiles) inRun(dir string, names []string, least, most int) error {
	if f.channel != "" || f.format != "" {
		return usage("--channel and --format are of files; the channels of a run are named, as alice.signal")
	}
	if len(names) >= least && len(names) <= most {
		return nil
	}
	known, err := stage.ChannelsOf(dir)
	if err != nil {
		return err
	}
	return usage(fmt.Sprintf("of the run in %s %s named, this command takes %s; it has %s", dir, areNamed(len(names)), between(least, most), strings.Join(known, ", ")))
}

// orAll names all channels of a run where none is named and one would do.
func orAll(args []string, least, most int) ([]string, error) {
	dir, names := ofRun(args)
	if dir == "" || len(names) > 0 || least > 1 {
		return args, nil
	}
	known, err := stage.ChannelsOf(dir)
	if err != nil || len(known) > most {
		return args, err
	}
	of := make([]string, len(known))
	for i, name := range known {
		of[i] = stage.LetterOf(i) + " " + name
	}
	notes([]string{"all channels of the run: " + strings.Join(of, ", ")})
	return append([]string{dir}, known...), nil
}

func areNamed(n int) string {
	if n == 1 {
		return "1 channel is"
	}
	return quantity.Counted(n, "channel") + " are"
}

func between(least, most int) string {
	if least == most {
		return fmt.Sprint(least)
	}
	return fmt.Sprintf("%d to %d", least, most)
}

// recorded opens channels of a run. closeAll is never nil.
func (f *channelFiles) recorded(dir string, names []string, least, most int, anyClock bool) (channels []correlate.Channel, of stage.Origin, closeAll func(), err error) {
	nothing := func() {}
	if err := f.inRun(dir, names, least, most); err != nil {
		return nil, of, nothing, err
	}
	if err := f.fits(len(names) - 1); err != nil {
		return nil, of, nothing, err
	}
	aligned := map[int]correlate.Correction{}
	for i, path := range f.aligned {
		if path == "-" { // as it was recorded
			aligned[i+1] = correlate.Correction{}
			continue
		}
		if aligned[i+1], err = stage.ReadAlignment(path); err != nil {
			return nil, of, nothing, err
		}
	}
	opened, err := stage.OpenRecorded(context.Background(), dir, names, aligned, anyClock)
	if err != nil {
		return nil, of, nothing, err
	}
	notes(opened.Words)
	for i := range opened.Channels {
		if i > 0 && len(f.offsets) > 0 {
			opened.Channels[i].Offset = int64(f.offsets[i-1])
		}
	}
	return opened.Channels, opened.Origin, func() { opened.Close() }, nil // they were only read
}

// notes writes what a person should know of the tags of a run.
func notes(words []string) {
	for _, line := range words {
		fmt.Fprintln(os.Stderr, "note:", text.Printable(line))
	}
}

// completeChannels offers the channels of a run that stands first, and files otherwise.
func completeChannels(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	dir, _ := ofRun(args)
	if dir == "" {
		return nil, cobra.ShellCompDirectiveDefault
	}
	names, err := stage.ChannelsOf(dir)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
