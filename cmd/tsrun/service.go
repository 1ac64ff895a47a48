package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"tsrun/pipeline/recipe"
	"tsrun/pipeline/unit"
)

type serviceFlags struct {
	unit.Options
	dryRun, force bool
}

func newServiceCommand() *cobra.Command {
	var f serviceFlags
	install := &cobra.Command{
		Use:   "install",
		Short: "write a systemd unit that starts the slave of a node with this PC",
		Long: `Write a systemd unit that runs this tsrun as the slave of a node, starts it with
the PC and again when it fails. It is the system's, as a user of its own, and needs
root; with --user it is that of the user who types it.

The Debian package brings tsrun-slave@.service and needs none.`,
		Example: `  tsrun service install --node bob --master 10.0.0.1 --dry-run
  sudo tsrun service install --node bob --master 10.0.0.1`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return f.install(c) },
	}
	flags := install.Flags()
	flags.StringVar(&f.Node, "node", "", "the `NAME` of this PC in the recipe")
	flags.StringVar(&f.Master, "master", "", "the master's address, `HOST[:PORT]` of its status")
	flags.StringVar(&f.Data, "data", "", "`DIR` where recorded files wait until the master has them; else where systemd keeps the state of services")
	flags.StringVar(&f.TLS, "tls", "auto", "`MODE` of the slave: on, off or auto")
	flags.BoolVar(&f.User, "user", false, "for this user's own service manager")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print the unit and write nothing")
	flags.BoolVar(&f.force, "force", false, "replace a unit that is there")
	return group("service", "let systemd start a slave with the PC", install)
}

func (f *serviceFlags) install(c *cobra.Command) (err error) {
	switch {
	case f.Node == "" || f.Master == "":
		return usage("name the node and its master: --node NAME --master HOST[:PORT]")
	case f.TLS != "auto" && f.TLS != "on" && f.TLS != "off":
		return usage("--tls: write on, off or auto")
	}
	if err := recipe.CheckNode(f.Node); err != nil {
		return usage("--node: " + err.Error())
	}
	if f.Master, err = masterAddress(f.Master); err != nil {
		return usage(err.Error())
	}
	if f.Program, err = os.Executable(); err == nil {
		f.Program, err = filepath.EvalSymlinks(f.Program)
	}
	if err == nil && f.Data != "" {
		f.Data, err = filepath.Abs(f.Data)
	}
	if err != nil {
		return err
	}
	dir, manager := "/etc/systemd/system", "systemctl"
	if f.User {
		config, err := os.UserConfigDir()
		if err != nil {
			return err
		}
		dir, manager = filepath.Join(config, "systemd", "user"), "systemctl --user"
	}
	if f.dryRun {
		text, err := f.Text()
		if err == nil {
			_, err = fmt.Fprintf(c.OutOrStdout(), "# %s\n%s", filepath.Join(dir, f.Name()), text)
		}
		return err
	}
	path, err := f.Install(dir, f.force)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s\nstart it, now and with the PC: %s daemon-reload && %s enable --now %s\n", path, manager, manager, f.Name())
	return err
}
