package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tsrun/pipeline/scaffold"
	"tsrun/pipeline/text"
	"tsrun/sdk"
)

func newPluginNewCommand() *cobra.Command {
	var p scaffold.Plugin
	var driver bool
	c := &cobra.Command{
		Use:   "new NAME",
		Short: "write a new plugin that passes the checks and runs a recipe as it is",
		Long: `new makes a directory NAME with a complete plugin, a test that runs the checks of
tsrun plugin test, a recipe and a README that says how to go on. In Go it is a module
of its own, whose go.mod says where the SDK is: in the checkout of tsrun that this
program was built in, or that --sdk names. In Python the modules that it needs are
beside it.`,
		Example: `  tsrun plugin new tc-foo
  tsrun plugin new sink-foo --sink
  tsrun plugin new tc-foo --python --dir ~/lab`,
		Args: arguments(1, 1, "a name such as tc-foo"),
		RunE: func(c *cobra.Command, args []string) error {
			if driver && p.Sink {
				return usage("a plugin is written as a driver or as a sink; leave one of --driver and --sink out")
			}
			p.Name = args[0]
			dir, err := scaffold.New(p)
			var f *sdk.Failure
			if errors.As(err, &f) {
				return usage(f.Error())
			}
			if err == nil {
				_, err = fmt.Fprintf(c.OutOrStdout(), "%s is written; its README.md says how to build, test and run it\n", text.Printable(dir))
			}
			return err
		},
	}
	c.Flags().BoolVar(&driver, "driver", false, "write a driver, as without any flag")
	c.Flags().BoolVar(&p.Sink, "sink", false, "write a sink")
	c.Flags().BoolVar(&p.Python, "python", false, "write it in Python")
	c.Flags().StringVar(&p.Dir, "dir", ".", "make the plugin's directory in this `DIR`")
	c.Flags().StringVar(&p.SDK, "sdk", "", "take the SDK from this checkout of tsrun, `DIR`")
	return c
}
