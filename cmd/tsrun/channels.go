package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/stage"
	"tsrun/sdk/quantity"
)

// channelFiles are tagFiles and what brings their channels to A's clock.
type channelFiles struct {
	tagFiles
	offsets timeList
	aligned fileList
}

const clocksHelp = `

--align takes the file that "tsrun align --out FILE.json" wrote, or an align stage's
result, and corrects B by it; --offset subtracts what is left, as of a cable.
With more channels than A and B, both take one value for each channel after A,
with commas between; --align - leaves a channel as it is. A file with a comma in
its name is one file where it is there; --align may be given once for each.`

func (f *channelFiles) add(c *cobra.Command, most int) {
	f.addMany(c, most)
	c.Flags().Var(&f.offsets, "offset", "`TIME` of B minus A, subtracted from B; D,D,... for B, C, ...")
	c.Flags().Var(&f.aligned, "align", "`FILE` of an alignment of B on A's clock; FILE,FILE,... for B, C, ..., or --align for each")
}

// channels opens the channels, at least and at most so many, and says where they
// are from. With anyClock, clocks that nothing connects are no error. closeAll is
// never nil.
func (f *channelFiles) channels(args []string, least, most int, anyClock bool) (channels []correlate.Channel, of stage.Origin, closeAll func(), err error) {
	if run, names := ofRun(args); run != "" {
		return f.recorded(run, names, least, most, anyClock)
	}
	list, err := f.sources(args, least)
	if err == nil && len(list) > most {
		err = usage(fmt.Sprintf("%d channels are named; this command takes up to %d", len(list), most))
	}
	if err == nil {
		err = f.fits(len(list) - 1)
	}
	if err != nil {
		return nil, of, func() {}, err
	}
	corrections := make([]correlate.Correction, len(list))
	for i, path := range f.aligned {
		if path != "-" {
			if corrections[i+1], err = stage.ReadAlignment(path); err != nil {
				return nil, of, func() {}, err
			}
		}
	}
	raise, err := raiseOf(list)
	if err == nil && raise > 0 && len(f.aligned) > 0 {
		err = fmt.Errorf("some tags lie before 0, where an alignment does not reach; raise all files alike by tsrun convert IN OUT --shift '1 s', and align and count those")
	}
	if err != nil {
		return nil, of, func() {}, err
	}
	streams, closeAll, err := openRaised(list, raise)
	records := recordsOf(list)
	for i, s := range streams {
		c := correlate.Channel{Tags: s, Correction: corrections[i], Record: records[i], Raised: raise}
		if i > 0 && len(f.offsets) > 0 {
			c.Offset = int64(f.offsets[i-1])
		}
		channels = append(channels, c)
	}
	return channels, of, closeAll, err
}

// recordsOf names the record each source is of: those of one channel of one file
// are one, by whatever name the file is given.
func recordsOf(list []source) []string {
	names, files := make([]string, len(list)), make([]os.FileInfo, len(list))
	for i, s := range list {
		names[i] = fmt.Sprint("channel ", i)
		files[i], _ = os.Stat(s.path) // a file that is gone is no other's
		for j := range i {
			if s.channel != list[j].channel {
				continue
			}
			if s.path == list[j].path || files[i] != nil && files[j] != nil && os.SameFile(files[i], files[j]) {
				names[i] = names[j]
			}
		}
	}
	return names
}

// fits says whether there are as many offsets and alignments as channels after A.
func (f *channelFiles) fits(others int) error {
	for _, given := range []struct {
		name   string
		values int
	}{{"--offset", len(f.offsets)}, {"--align", len(f.aligned)}} {
		if given.values > 0 && given.values != others {
			return usage(fmt.Sprintf("%s has %s for %s after A; give one for each", given.name, quantity.Counted(given.values, "value"), quantity.Counted(others, "channel")))
		}
	}
	return nil
}

// timeList is a flag of one time or several, with commas between.
type timeList []quantity.Time

func (l *timeList) String() string {
	var texts []string
	for _, t := range *l {
		texts = append(texts, t.String())
	}
	return strings.Join(texts, ",")
}

func (l *timeList) Set(text string) error {
	*l = nil
	for _, part := range strings.Split(text, ",") {
		t, err := quantity.ParseTime(strings.TrimSpace(part))
		if err != nil {
			return err
		}
		*l = append(*l, t)
	}
	return nil
}

func (*timeList) Type() string { return "times" }

// fileList is a flag of one file or several, with commas between. It may be given
// more than once.
type fileList []string

func (l *fileList) String() string { return strings.Join(*l, ",") }

func (l *fileList) Set(text string) error {
	if _, err := os.Stat(text); err == nil { // commas may be of its name
		*l = append(*l, text)
		return nil
	}
	*l = append(*l, strings.Split(text, ",")...)
	return nil
}

func (*fileList) Type() string { return "files" }

// alignments returns the files of --align, where a command has it.
func alignments(c *cobra.Command) []string {
	if f := c.Flags().Lookup("align"); f != nil {
		if list, is := f.Value.(*fileList); is {
			return slices.Clone(*list)
		}
	}
	return nil
}
