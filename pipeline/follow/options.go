// Package follow reads the files of a run as they come, in its directory: while the run
// goes on, or when it is over.
//
//	journal: a node told of a file ──▶ it stands under its name: proven ──▶ hashed again ──▶ a line, its tags, a copy
//	manifest: the run has ended ─────▶ what was proven and did not come so, what is missing
//
// It changes nothing in the directory, and nobody waits for it.
package follow

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"tsrun/pipeline/run"
	"tsrun/sdk"
	"tsrun/sdk/following"
)

// Usage is how the command is written.
const Usage = "write tsrun follow RUN-DIRECTORY [--node NAME,…] [--channel NAME,…] [--sink NAME,…] [--count | --tags] [--out DIR] [--wait 30s]"

// Options are what is asked for.
type Options struct {
	following.Options
	Sinks following.Names // whose files; none: all
	Dir   string          // of the run
}

// Parse reads what stands on the command line.
func Parse(args []string) (o Options, err error) {
	flags := flag.NewFlagSet("tsrun follow", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Var(&o.Sinks, "sink", "")
	o.Register(flags)
	words, err := o.Options.Parse(flags, args)
	switch {
	case err != nil:
		return o, fmt.Errorf("%w; %s", err, Usage)
	case len(words) != 1:
		return o, fmt.Errorf("%d words; %s", len(words), Usage)
	}
	o.Dir = words[0]
	return o, nil
}

// wants says whether the files of a sink of a channel are followed.
func (o *Options) wants(s *run.Segment) bool {
	return o.Wants(s.Node, s.Channel) && (len(o.Sinks) == 0 || slices.Contains(o.Sinks, s.Sink))
}

// check compares what is asked for with what the run has.
func (o *Options) check(m *run.Manifest) error {
	channels, sinks := map[string]bool{}, map[string]bool{}
	for name, n := range m.Nodes {
		for c := range n.Channels {
			channels[c] = true
			if kept := keepers(n, c); o.Tags && len(o.Sinks) != 1 && o.Wants(name, c) && len(kept) > 1 {
				return &sdk.Failure{Code: "follow-sinks", Message: fmt.Sprintf("%s.%s goes to the sinks %s, and --tags would print its tags of each", name, c, strings.Join(kept, ", ")),
					Hint: "choose one with --sink"}
			}
		}
		for s := range n.Sinks {
			sinks[s] = true
		}
	}
	for _, asked := range []struct {
		flag string
		of   following.Names
		has  []string
	}{{"--node", o.Nodes, slices.Sorted(maps.Keys(m.Nodes))}, {"--channel", o.Channels, slices.Sorted(maps.Keys(channels))}, {"--sink", o.Sinks, slices.Sorted(maps.Keys(sinks))}} {
		for _, name := range asked.of {
			if !slices.Contains(asked.has, name) {
				return &sdk.Failure{Code: "follow-none", Message: fmt.Sprintf("%s %s: the run has none of that name", asked.flag, name), Hint: "it has " + strings.Join(asked.has, ", ")}
			}
		}
	}
	return nil
}

// keepers are the sinks that may keep the tags of a channel.
func keepers(n *run.Node, channel string) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(n.Sinks)) {
		if s := n.Sinks[name]; slices.Contains(s.Channels, channel) && (s.Keeps == "" || s.Keeps == sdk.AllTags) {
			names = append(names, name)
		}
	}
	return names
}

// copyOf is where the copy of a file goes: below --out as the file is below raw.
func (o *Options) copyOf(s *run.Segment) string {
	return filepath.Join(o.Out, filepath.FromSlash(strings.TrimPrefix(s.File, run.RawDir+"/")))
}

// Run follows a run to its end.
func Run(ctx context.Context, o Options, stdout io.Writer) error {
	if dir, err := filepath.EvalSymlinks(o.Dir); err == nil { // "latest" will be another run
		o.Dir = dir
	}
	f := &follower{o: o, out: &following.Printer{To: stdout}, of: map[series]*followed{}, known: map[string]bool{}}
	err := f.follow(ctx)
	if printed := f.totals(); err == nil {
		err = printed
	}
	return err
}
