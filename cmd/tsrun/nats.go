package main

import (
	"os"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"tsrun/pipeline/host"
	"tsrun/sdk"
)

// natsProgram has the commands hub and, of a server, follow: it alone of all programs carries a
// NATS server, and the client of one.
const natsProgram = "sink-nats"

func newHubCommand() *cobra.Command {
	return handedOver(&cobra.Command{
		Use:   "hub --store DIR",
		Short: "be a NATS server that keeps the blocks of runs, for a small laboratory",
		Long: `hub is a NATS server with JetStream in one program, for runs with a sink-nats and
for tsrun follow. It prints a JSON line that says where it listens, and runs until it
is interrupted. It is part of the plugin sink-nats.

  --store DIR          keep streams in this directory
  --listen HOST:PORT   listen there (127.0.0.1:4222); port 0 for any
  --sync always|2m     sync each message to the disk before it is acknowledged
                       (always), or every so often, as most NATS servers do
  --token-file FILE    who connects shows the token in this file; needed off loopback
  --cert, --key FILE   PEM files of a certificate and its key: TLS`,
		Example: `  tsrun hub --store /var/lib/tsrun/hub
  tsrun hub --store hub --listen 0.0.0.0:4222 --token-file hub.token --sync 2m`,
	})
}

// handedOver lets the program of the plugin take the place of this one.
func handedOver(c *cobra.Command) *cobra.Command {
	c.DisableFlagParsing = true
	c.RunE = func(c *cobra.Command, args []string) error {
		if slices.Contains(args, "--help") || slices.Contains(args, "-h") || len(args) == 0 {
			return c.Help()
		}
		dirs, err := host.DefaultDirs(nil)
		if err != nil {
			return failure(err)
		}
		program, err := host.Find(dirs, natsProgram)
		if err != nil {
			return failure(err)
		}
		if err := syscall.Exec(program.Path, append([]string{program.Path, c.Name()}, args...), os.Environ()); err != nil {
			return failure(&sdk.Failure{Code: "plugin-start", Message: "start " + program.Path + ": " + err.Error(),
				Hint: "it runs on Linux; elsewhere start it by hand, with the word " + c.Name()})
		}
		return nil
	}
	return c
}
