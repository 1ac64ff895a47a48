package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tsrun/sdk"
	"tsrun/sdk/following"
)

// followFlags are what `tsrun follow` is told.
type followFlags struct {
	access
	following.Options
	run, prefix string
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
	f.Options.Register(flags)
	flags.StringVar(&f.TokenFile, "token-file", "", "`FILE` that holds the token of the server")
	flags.StringVar(&f.User, "user", "", "`NAME` of a user of the server; with --password-file")
	flags.StringVar(&f.Password, "password-file", "", "`FILE` that holds the password of the user")
	flags.StringVar(&f.Nkey, "nkey-file", "", "`FILE` that holds the seed of an nkey of the server")
	flags.StringVar(&f.Credentials, "credentials", "", ".creds `FILE` of a user of the server")
	flags.StringVar(&f.CA, "ca", "", "PEM `FILE` of the CA of the server")
	flags.StringVar(&f.Cert, "cert", "", "PEM `FILE` of a client certificate; with --key")
	flags.StringVar(&f.Key, "key", "", "PEM `FILE` of its key")
	words, err := f.Options.Parse(flags, args)
	if err != nil {
		return nil, err
	}
	if len(words) < 1 || len(words) > 2 {
		return nil, errors.New(followUsage)
	}
	if f.URL = words[0]; len(words) == 2 {
		f.run = words[1]
	}
	for _, name := range []string{f.prefix, f.run} {
		if !following.IsName(name) && name != "" {
			return nil, fmt.Errorf("%q is no name; %s", clip(name), followUsage)
		}
	}
	if f.prefix == "" {
		return nil, errors.New("--prefix is a word")
	}
	if found := f.mistakes(); len(found) > 0 {
		return nil, found[0]
	}
	return f, nil
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
	out := &following.Printer{To: stdout}
	totals, err := f.followAll(ctx, js, out)
	for _, t := range totals {
		err = errors.Join(err, out.JSON(t))
	}
	if err == nil {
		err = f.Missing(totals)
	}
	return err
}

// followAll reads the streams of the nodes to their ends, also of those that come while it
// reads others: a node may join late.
func (f *followFlags) followAll(ctx context.Context, js jetstream.JetStream, out *following.Printer) (all []following.Total, err error) {
	type read struct {
		totals []following.Total
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
			slices.SortFunc(all, func(a, b following.Total) int { return strings.Compare(a.Channel, b.Channel) })
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

// find waits for streams of the run; where none is named, it names the newest.
func (f *followFlags) find(ctx context.Context, js jetstream.JetStream) error {
	for late := time.Now().Add(f.Wait); ; {
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
		if !ours || !whole || !isRun(id) || len(f.Nodes) > 0 && !slices.Contains(f.Nodes, node) {
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
