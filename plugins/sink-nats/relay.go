package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/following"
	"tsrun/sdk/zmtp"
)

const relayUsage = "write tsrun relay tcp://127.0.0.1:PORT|ipc:///PATH nats://HOST:PORT [--prefix WORD] [--wait 1m]"

// relayFlags are what `tsrun relay` is told.
type relayFlags struct {
	access
	from, prefix string
	wait         time.Duration
}

// relayed is what it says at the end.
type relayed struct {
	Run      string `json:"run"`
	Subject  string `json:"subject"`
	Messages uint64 `json:"messages"` // acknowledged
	Tags     uint64 `json:"tags"`     // in them
	Missed   uint64 `json:"missed"`   // messages that the run dropped for this subscriber
	Dropped  uint64 `json:"dropped"`  // messages that the server did not take
	Ended    bool   `json:"ended"`
}

// relayMain is the command `tsrun relay`.
func relayMain(args []string, stdout, stderr io.Writer) int {
	f, err := parseRelay(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "tsrun relay: %v\n", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r := &relay{flags: f}
	defer r.hangUp()
	err = r.work(ctx)
	err = errors.Join(err, (&following.Printer{To: stdout}).JSON(r.said))
	if err == nil && r.said.Dropped > 0 {
		err = &sdk.Failure{Code: "nats-behind", Message: fmt.Sprintf("the NATS server did not take %d messages", r.said.Dropped), Hint: "look at the server; the run has all tags in its files"}
		if r.refused != nil {
			err = fmt.Errorf("%w; the last time: %w", err, r.refused)
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "tsrun relay: %v\n", err)
		return 1
	}
	return 0
}

func parseRelay(args []string, stderr io.Writer) (*relayFlags, error) {
	f := &relayFlags{}
	flags := flag.NewFlagSet("tsrun relay", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&f.prefix, "prefix", "tsrun", "first `WORD` of the subject")
	flags.DurationVar(&f.wait, "wait", time.Minute, "give up when nothing has come for so long")
	flags.StringVar(&f.TokenFile, "token-file", "", "`FILE` that holds the token of the server")
	flags.StringVar(&f.Credentials, "credentials", "", ".creds `FILE` of a user of the server")
	flags.StringVar(&f.CA, "ca", "", "PEM `FILE` of the CA of the server")
	flags.StringVar(&f.Cert, "cert", "", "PEM `FILE` of a client certificate; with --key")
	flags.StringVar(&f.Key, "key", "", "PEM `FILE` of its key")
	words, err := following.Words(flags, args)
	switch {
	case err != nil:
		return nil, err
	case len(words) != 2:
		return nil, errors.New(relayUsage)
	case !following.IsName(f.prefix) || f.wait < 100*time.Millisecond || f.wait > 24*time.Hour || (f.Cert == "") != (f.Key == ""):
		return nil, errors.New("--prefix is a word of letters, digits, _ and -, --wait is 100ms to 24h, and --cert goes with --key")
	}
	f.from, f.URL = words[0], words[1]
	if _, _, ok := f.socket(); !ok {
		return nil, fmt.Errorf("%q is no address of a live sink; %s", clip(f.from), relayUsage)
	}
	return f, nil
}

// socket is where the run sends.
func (f *relayFlags) socket() (network, address string, ok bool) {
	if path, unix := strings.CutPrefix(f.from, "ipc://"); unix {
		return "unix", path, filepath.IsAbs(path)
	}
	text, tcp := strings.CutPrefix(f.from, "tcp://")
	at, err := netip.ParseAddrPort(text)
	return "tcp", text, tcp && err == nil && at.Addr().IsLoopback()
}

// subscribe waits for the socket of a run, which is there when the run begins.
func (f *relayFlags) subscribe(ctx context.Context) (*zmtp.Conn, error) {
	network, address, _ := f.socket()
	for late := time.Now().Add(f.wait); ; {
		within, cancel := context.WithDeadline(ctx, late)
		conn, err := zmtp.Dial(within, network, address, "SUB")
		cancel()
		if err == nil {
			if err = conn.Send(askedWithin, []byte{1}); err == nil {
				return conn, nil
			}
			conn.Close()
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if time.Now().After(late) {
			return nil, &sdk.Failure{Code: "relay-silent", Message: fmt.Sprintf("no run sends at %s: %v", clip(f.from), err), Hint: "start a run with a live sink of this address; --wait lets it take longer"}
		}
		select {
		case <-ctx.Done():
		case <-time.After(again):
		}
	}
}
