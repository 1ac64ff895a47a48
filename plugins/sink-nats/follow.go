package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tsrun/sdk"
)

// followFlags are what `tsrun follow` is told.
type followFlags struct {
	access
	run, prefix, out string
	nodes, channels  string
	count, tags      bool
	wait             time.Duration
}

const followUsage = "write tsrun follow nats://HOST:PORT [RUN] [--node NAME,…] [--channel NAME,…] [--count | --tags] [--out DIR] [--wait 30s]"

// followMain is the command `tsrun follow`.
func followMain(args []string, stdout, stderr io.Writer) int {
	f, err := parseFollow(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "tsrun follow: %v\n", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := f.follow(ctx, stdout); err != nil {
		fmt.Fprintf(stderr, "tsrun follow: %v\n", err)
		return 1
	}
	return 0
}

func parseFollow(args []string, stderr io.Writer) (*followFlags, error) {
	f := &followFlags{}
	flags := flag.NewFlagSet("tsrun follow", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&f.prefix, "prefix", "tsrun", "first `WORD` of each subject")
	flags.StringVar(&f.nodes, "node", "", "these nodes only, `NAME,…`")
	flags.StringVar(&f.channels, "channel", "", "these channels only, `NAME,…`")
	flags.BoolVar(&f.count, "count", false, "print nothing but the counts at the end")
	flags.BoolVar(&f.tags, "tags", false, "print each tag as NODE.CHANNEL;PS")
	flags.StringVar(&f.out, "out", "", "write the files of the run again, below `DIR`/NODE")
	flags.DurationVar(&f.wait, "wait", 30*time.Second, "give up when nothing has come for so long")
	flags.StringVar(&f.TokenFile, "token-file", "", "`FILE` that holds the token of the server")
	flags.StringVar(&f.Credentials, "credentials", "", ".creds `FILE` of a user of the server")
	flags.StringVar(&f.CA, "ca", "", "PEM `FILE` of the CA of the server")
	flags.StringVar(&f.Cert, "cert", "", "PEM `FILE` of a client certificate; with --key")
	flags.StringVar(&f.Key, "key", "", "PEM `FILE` of its key")
	var words []string
	for len(args) > 0 { // flags may stand between the words
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if args = flags.Args(); len(args) > 0 {
			words, args = append(words, args[0]), args[1:]
		}
	}
	if len(words) < 1 || len(words) > 2 {
		return nil, errors.New(followUsage)
	}
	if f.URL = words[0]; len(words) == 2 {
		f.run = words[1]
	}
	names := slices.Concat([]string{f.prefix}, f.split(f.nodes), f.split(f.channels))
	if f.run != "" {
		names = append(names, f.run)
	}
	for _, name := range names {
		if !token.MatchString(name) {
			return nil, fmt.Errorf("%q is no name; %s", clip(name), followUsage)
		}
	}
	if f.wait < 100*time.Millisecond || f.wait > 24*time.Hour || (f.Cert == "") != (f.Key == "") {
		return nil, errors.New("--wait is 100ms to 24h, and --cert goes with --key")
	}
	return f, nil
}

func (f *followFlags) split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// total is what has come of a channel.
type total struct {
	Channel  string `json:"channel"`
	Tags     uint64 `json:"tags"`
	Blocks   uint64 `json:"blocks"`
	Segments int    `json:"segments"`
	Ended    bool   `json:"ended"`
}

// printer prints lines of several nodes.
type printer struct {
	mu sync.Mutex
	to io.Writer
}

func (p *printer) json(what any) error {
	text, err := json.Marshal(what)
	if err != nil {
		return err
	}
	return p.write(append(text, '\n'))
}

func (p *printer) write(text []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.to.Write(text)
	return err
}

// follow reads the streams of a run to their ends.
func (f *followFlags) follow(ctx context.Context, stdout io.Writer) error {
	conn, err := f.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(askedWithin))
	if err != nil {
		return err
	}
	if err := f.find(ctx, js); err != nil {
		return err
	}
	out := &printer{to: stdout}
	totals, err := f.followAll(ctx, js, out)
	for _, t := range totals {
		err = errors.Join(err, out.json(t))
	}
	if err == nil {
		err = f.missing(totals)
	}
	return err
}

// followAll reads the streams of the nodes to their ends, also of those that come while it
// reads others: a node may join late.
func (f *followFlags) followAll(ctx context.Context, js jetstream.JetStream, out *printer) (all []total, err error) {
	type read struct {
		totals []total
		err    error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended, begun, atWork := make(chan read), map[string]bool{}, 0
	looks := time.NewTicker(time.Second)
	defer looks.Stop()
	for {
		_, nodes, failed := f.list(ctx, js)
		if failed != nil && ctx.Err() == nil {
			err = errors.Join(err, failed)
			cancel()
		}
		for _, node := range nodes {
			if begun[node] {
				continue
			}
			begun[node] = true
			atWork++
			go func() {
				totals, err := f.followNode(ctx, js, node, out)
				ended <- read{totals, err}
			}()
		}
		if atWork == 0 {
			slices.SortFunc(all, func(a, b total) int { return strings.Compare(a.Channel, b.Channel) })
			return all, err
		}
		select {
		case r := <-ended:
			atWork--
			all = append(all, r.totals...)
			if r.err != nil && err == nil { // those of the others are that this one has ended
				err = r.err
				cancel()
			}
		case <-looks.C:
		}
	}
}

// missing says which node or channel was asked for, and not there.
func (f *followFlags) missing(totals []total) error {
	var none []string
	for _, node := range f.split(f.nodes) {
		if !slices.ContainsFunc(totals, func(t total) bool { return strings.HasPrefix(t.Channel, node+".") }) {
			none = append(none, "node "+node)
		}
	}
	for _, channel := range f.split(f.channels) {
		if !slices.ContainsFunc(totals, func(t total) bool { return strings.HasSuffix(t.Channel, "."+channel) }) {
			none = append(none, "channel "+channel)
		}
	}
	if none == nil {
		return nil
	}
	return &sdk.Failure{Code: "follow-none", Message: "nothing has come of " + strings.Join(none, ", "), Hint: "look at --node and --channel: they name what the recipe names"}
}

// find waits for streams of the run; where none is named, it names the newest.
func (f *followFlags) find(ctx context.Context, js jetstream.JetStream) error {
	for late := time.Now().Add(f.wait); ; {
		run, nodes, err := f.list(ctx, js)
		if err != nil {
			return err
		}
		if len(nodes) > 0 {
			f.run = run
			return nil
		}
		if time.Now().After(late) {
			return &sdk.Failure{Code: "no-stream", Message: "the server has no stream of the run", Hint: "look at RUN, --node and --prefix: the run needs a sink-nats"}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(again):
		}
	}
}

// list gives the nodes of the run of which there are streams; where none is named, of the
// newest.
func (f *followFlags) list(ctx context.Context, js jetstream.JetStream) (run string, nodes []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, askedWithin)
	defer cancel()
	newest := time.Time{}
	run = f.run
	lister := js.ListStreams(ctx)
	var all [][2]string
	for s := range lister.Info() {
		rest, ours := strings.CutPrefix(s.Config.Name, f.prefix+"_")
		id, node, whole := strings.Cut(rest, "_")
		if !ours || !whole || !isRun(id) || f.nodes != "" && !slices.Contains(f.split(f.nodes), node) {
			continue
		}
		all = append(all, [2]string{id, node})
		if f.run == "" && s.Created.After(newest) {
			newest, run = s.Created, id
		}
	}
	if err := lister.Err(); err != nil {
		return "", nil, fmt.Errorf("list the streams of the server: %w", err)
	}
	for _, s := range all {
		if s[0] == run {
			nodes = append(nodes, s[1])
		}
	}
	slices.Sort(nodes)
	return run, nodes, nil
}
