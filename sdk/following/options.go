// Package following is what every `tsrun follow` has in common, wherever the tags come
// from: what it is asked for, what it prints, and files that are written again.
package following

import (
	"errors"
	"flag"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"tsrun/sdk"
)

// Options are what is asked for.
type Options struct {
	Nodes, Channels Names  // none: all
	Count, Tags     bool   // print only counts; print tags
	Out             string // directory of the files that are written again
	Wait            time.Duration
}

// Names is a list that is written NAME,…
type Names []string

// String is the list as it is written.
func (n *Names) String() string { return strings.Join(*n, ",") }

// Set reads a list.
func (n *Names) Set(list string) error {
	if *n = nil; list == "" {
		return nil
	}
	*n = strings.Split(list, ",")
	for _, name := range *n {
		if !IsName(name) {
			return errors.New("it is no list of names: letters, digits, _ and -, with commas between")
		}
	}
	return nil
}

var name = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// IsName says whether a text may be the name of a node, a channel or a sink here.
func IsName(text string) bool { return name.MatchString(text) }

// Register adds the flags of the options.
func (o *Options) Register(flags *flag.FlagSet) {
	flags.Var(&o.Nodes, "node", "these nodes only, `NAME,…`")
	flags.Var(&o.Channels, "channel", "these channels only, `NAME,…`")
	flags.BoolVar(&o.Count, "count", false, "print nothing but the counts at the end")
	flags.BoolVar(&o.Tags, "tags", false, "print each tag as NODE.CHANNEL;PS")
	flags.StringVar(&o.Out, "out", "", "write the files of the run again, below `DIR`/NODE")
	flags.DurationVar(&o.Wait, "wait", 30*time.Second, "give up when nothing has come for so long")
}

// Parse reads flags, and returns the words between them.
func (o *Options) Parse(flags *flag.FlagSet, args []string) ([]string, error) {
	words, err := Words(flags, args)
	if err == nil && (o.Wait < 100*time.Millisecond || o.Wait > 24*time.Hour) {
		err = fmt.Errorf("--wait %v: it is 100ms to 24h", o.Wait)
	}
	return words, err
}

// Words reads flags, which may stand between the words, and returns the words.
func Words(flags *flag.FlagSet, args []string) (words []string, err error) {
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if args = flags.Args(); len(args) > 0 {
			words, args = append(words, args[0]), args[1:]
		}
	}
	return words, nil
}

// Wants says whether a channel of a node is asked for.
func (o *Options) Wants(node, channel string) bool {
	return (len(o.Nodes) == 0 || slices.Contains(o.Nodes, node)) && (len(o.Channels) == 0 || slices.Contains(o.Channels, channel))
}

// Missing says which node or channel was asked for and is not among those that came.
func (o *Options) Missing(totals []Total) error {
	var none []string
	for _, node := range o.Nodes {
		if !slices.ContainsFunc(totals, func(t Total) bool { return strings.HasPrefix(t.Channel, node+".") }) {
			none = append(none, "node "+node)
		}
	}
	for _, channel := range o.Channels {
		if !slices.ContainsFunc(totals, func(t Total) bool { return strings.HasSuffix(t.Channel, "."+channel) }) {
			none = append(none, "channel "+channel)
		}
	}
	if none == nil {
		return nil
	}
	return &sdk.Failure{Code: "follow-none", Message: "nothing has come of " + strings.Join(none, ", "), Hint: "look at --node and --channel: they name what the recipe names"}
}
