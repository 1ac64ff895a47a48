package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tsrun/pipeline/follow"
)

func newFollowCommand() *cobra.Command {
	c := handedOver(&cobra.Command{
		Use:   "follow RUN-DIRECTORY | nats://HOST:PORT [RUN]",
		Short: "print, filter and count the segments of a run as they come, or write its files again",
		Long: `follow reads a run while it goes on, or when it is over, to its end: in its directory,
or what the sink-nats of each node has brought to a NATS server (of RUN, an identifier
as in its manifest, or of the newest). It prints a JSON line of each file of tags that
has come and is proven (NATS: of each block), and at the end one with the counts of each
channel. It ends with 1 where the run lacks a file that is followed, was aborted, or
goes silent.

  --node NAME,…        these nodes only
  --channel NAME,…     these channels only
  --sink NAME,…        files of these sinks only (run directory)
  --count              print the counts only
  --tags               print each tag as NODE.CHANNEL;PS
  --out DIR            write the files of the run again, below DIR/NODE; each has the
                       SHA-256 of the run's file
  --wait 30s           give up when nothing has come for so long

Of a NATS server, by the plugin sink-nats:

  --prefix WORD        of the subjects, as in the config of the sink (tsrun)
  --token-file, --user, --password-file, --nkey-file, --credentials, --ca, --cert, --key FILE   as in the config of the sink`,
		Example: `  tsrun follow runs/latest
  tsrun follow runs/latest --node alice --tags
  tsrun follow nats://127.0.0.1:4222 --count
  tsrun follow nats://hub:4222 6f1c… --node alice --channel signal --out copy`,
	})
	atServer := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		asksHelp := slices.Contains(args, "--help") || slices.Contains(args, "-h") || len(args) == 0
		if asksHelp || slices.ContainsFunc(args, func(word string) bool { return strings.Contains(word, "://") }) {
			return atServer(c, args)
		}
		o, err := follow.Parse(args)
		if err != nil {
			return usage(err.Error())
		}
		ctx, stop := interruptible(c.Context())
		defer stop()
		return follow.Run(ctx, o, c.OutOrStdout())
	}
	return c
}
