package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tsrun/pipeline/event"
	"tsrun/pipeline/web"
)

// anyAddress is --web without a value.
const anyAddress = "auto"

// registerWeb adds --web.
func registerWeb(flags *pflag.FlagSet, address *string) {
	flags.StringVar(address, "web", "", "master: show how it goes to browsers, at `HOST:PORT` as 127.0.0.1:5580; --web alone: there, or at another port of this PC where that is taken")
	flags.Lookup("web").NoOptDefVal = anyAddress
}

// joinAddress lets the address of --web stand behind a space too: a value that may be
// left out is else looked for behind = alone.
func joinAddress(args []string) []string {
	for i, word := range args {
		switch {
		case word == "--":
			return args
		case word == "--web" && i+1 < len(args):
			if _, _, err := net.SplitHostPort(args[i+1]); err == nil {
				return append(append(slices.Clone(args[:i]), "--web="+args[i+1]), args[i+2:]...)
			}
		}
	}
	return args
}

// openPage opens a page at an address of --web, and says where it is.
func openPage(ctx context.Context, address string, o web.Options) (*web.Server, error) {
	if address == anyAddress {
		address = ""
	}
	page, err := web.Listen(ctx, address, o)
	if err == nil {
		fmt.Fprintf(os.Stderr, "page: %s\n", page.URL())
	}
	if err == nil && page.Fingerprint() != "" {
		fmt.Fprintf(os.Stderr, "      a browser warns of its certificate; go on if it shows the SHA-256 %s\n", page.Fingerprint())
	}
	return page, err
}

// startPage shows what a hub tells to browsers where that is asked for; over waits until
// the page has ended, which those who look learn of.
func startPage(ctx context.Context, address string, hub *event.Hub, o web.Options) (over func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	o.Feed = hub.Subscribe()
	page, err := openPage(ctx, address, o)
	if err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := page.Run(ctx, false); err != nil {
			hub.Observe(event.Warning{Message: err.Error(), Hint: "the run goes on without its page"})
		}
	}()
	return func() { <-ended }, nil
}

func newWebCommand() *cobra.Command {
	var address string
	c := &cobra.Command{
		Use:   "web RUN",
		Short: "show a run that is over to browsers, until Ctrl-C",
		Long: `web shows a run directory as the page of a run that is over: its condition, nodes,
rates, results with pictures, clocks and files. It changes nothing and needs no network.
tsrun RECIPE --web shows a run while it goes on.`,
		Example: "  tsrun web runs/latest\n  tsrun web runs/latest --web=127.0.0.1:8080",
		Args:    arguments(1, 1, "one run directory"),
		RunE: func(c *cobra.Command, args []string) error {
			ctx, stop := interruptible(c.Context())
			defer stop()
			past, r, err := web.Past(args[0])
			if err != nil {
				return err
			}
			page, err := openPage(ctx, address, web.Options{Recipe: r, Past: past})
			if err != nil {
				return failure(err)
			}
			return page.Run(ctx, true)
		},
	}
	registerWeb(c.Flags(), &address)
	c.Flags().Lookup("web").Usage = "the page's `HOST:PORT` (default " + web.Default + ", or another port of this PC where that is taken)"
	return c
}
