package main

import (
	"fmt"
	"net"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tsrun/pipeline/keys"
	"tsrun/pipeline/master"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/slave"
	"tsrun/pipeline/text"
)

// registerKeys adds --keys.
func registerKeys(flags *pflag.FlagSet, dir *string) {
	flags.StringVar(dir, "keys", "", "`DIR` of this PC's keys (default $"+keys.Variable+", else tsrun/keys in the user's directory of settings)")
}

// secureMaster gives a master keys from a directory.
func secureMaster(dir string) func(*master.Options) error {
	return func(o *master.Options) error {
		store, err := keys.Open(dir)
		if err != nil {
			return err
		}
		o.Keys, o.Revoked = store.Dir(), store.Revocations()
		o.Security, err = store.Master()
		return err
	}
}

// secure gives a slave its keys; one that a master has started shows the master's.
func (f *runFlags) secure(o *slave.Options, own bool) error {
	host, _, err := net.SplitHostPort(o.Master)
	if err != nil {
		return usage(fmt.Sprintf("--master %q: %v", o.Master, err))
	}
	switch {
	case f.tls != "auto" && f.tls != "on" && f.tls != "off":
		return usage(fmt.Sprintf("--tls %q: write auto, on or off", f.tls))
	case f.tls == "off", f.tls == "auto" && recipe.IsLoopback(host):
		return nil
	}
	store, err := keys.Open(f.keys)
	if err != nil {
		return failure(err)
	}
	if own {
		o.Security, err = store.Master()
		return failure(err)
	}
	o.Security, err = store.Node(o.Node)
	o.KeepRevocations = func(list []byte) error { return store.KeepRevocations(o.Node, list) }
	return failure(err)
}

func newKeysCommand() *cobra.Command {
	return group("keys", "make and revoke certificates by hand; tsrun pair does what most need",
		newKeysInitCommand(), newKeysIssueCommand(), newKeysShowCommand(), newKeysRevokeCommand())
}

// withKeys adds --keys to a command and opens the store for what it does.
func withKeys(c *cobra.Command, do func(c *cobra.Command, s *keys.Store, args []string) error) *cobra.Command {
	var dir string
	registerKeys(c.Flags(), &dir)
	c.RunE = func(c *cobra.Command, args []string) error {
		store, err := keys.Open(dir)
		if err == nil {
			err = do(c, store, args)
		}
		return failure(err)
	}
	return c
}

func newKeysInitCommand() *cobra.Command {
	return withKeys(&cobra.Command{
		Use:   "init",
		Short: "make the CA of this laboratory and the certificate of its master",
		Long: `init makes the private CA of this laboratory and the certificate of this PC as its
master. Where there is a CA it changes nothing. Keep a copy of the directory: without
ca.key no other certificate can be issued.`,
		Args: noArguments,
	}, func(c *cobra.Command, s *keys.Store, _ []string) error {
		made, err := s.Init()
		if err != nil {
			return err
		}
		fingerprint, name, err := s.CA()
		if err != nil {
			return err
		}
		words := "is there already"
		if made {
			words = "is made"
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s %s in %s, fingerprint %s\n", name, words, text.Printable(s.Dir()), fingerprint)
		return err
	})
}

func newKeysIssueCommand() *cobra.Command {
	var days int
	var asMaster bool
	c := withKeys(&cobra.Command{
		Use:   "issue NODE DIR",
		Short: "issue a certificate by hand, for a node or (--master) for this PC",
		Long: `issue makes a key and a certificate for a node in DIR. Bring the two files into the
directory of keys of that PC (mode 0600) and remove them here. With --master it issues
this PC's own certificate anew, as a master's. tsrun pair needs no key that travels.`,
		Args: arguments(0, 2, "a node and a directory, or --master"),
	}, func(c *cobra.Command, s *keys.Store, args []string) error {
		validity := time.Duration(days) * 24 * time.Hour
		switch {
		case days < 1 || days > 36500:
			return usage("--days: write 1 to 36500")
		case asMaster && len(args) == 0:
			return s.IssueMaster(validity)
		case asMaster || len(args) != 2:
			return usage("write tsrun keys issue NODE DIR, or tsrun keys issue --master")
		}
		if err := recipe.CheckNode(args[0]); err != nil {
			return usage("node: " + err.Error())
		}
		if err := s.Issue(args[0], args[1], validity); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "node-%s.key and node-%s.pem are in %s\n", args[0], args[0], text.Printable(args[1]))
		return err
	})
	c.Flags().IntVar(&days, "days", int(keys.Validity/(24*time.Hour)), "how many days it is valid, `N`")
	c.Flags().BoolVar(&asMaster, "master", false, "issue this PC's own certificate as a master")
	return c
}

func newKeysShowCommand() *cobra.Command {
	return withKeys(&cobra.Command{
		Use:   "show",
		Short: "list the certificates that this laboratory's CA has issued",
		Args:  noArguments,
	}, func(c *cobra.Command, s *keys.Store, _ []string) error {
		fingerprint, name, err := s.CA()
		if err != nil {
			return err
		}
		all, err := s.Issued()
		if err != nil {
			return err
		}
		out := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintf(out, "%s, fingerprint %s, in %s\n\nname\tvalid until\tserial\t\n", name, fingerprint, text.Printable(s.Dir()))
		for _, i := range all {
			state := ""
			switch {
			case !i.Revoked.IsZero():
				state = "revoked " + i.Revoked.Format(time.DateOnly)
			case time.Now().After(i.Until):
				state = "expired"
			}
			fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", text.Printable(i.Name), i.Until.Format(time.DateOnly), i.Serial, state)
		}
		return out.Flush()
	})
}

func newKeysRevokeCommand() *cobra.Command {
	return withKeys(&cobra.Command{
		Use:   "revoke NAME|SERIAL",
		Short: "revoke the certificates of a node, or one by its serial number",
		Long: `revoke adds certificates to the list of revoked ones. The master of this PC refuses
them from its next connection on; slaves are handed the list when they join.`,
		Args: arguments(1, 1, "one name or serial number, as tsrun keys show lists them"),
	}, func(c *cobra.Command, s *keys.Store, args []string) error {
		revoked, err := s.Revoke(args[0])
		for _, i := range revoked {
			if err == nil {
				_, err = fmt.Fprintf(c.OutOrStdout(), "revoked: %s, serial %s\n", text.Printable(i.Name), i.Serial)
			}
		}
		return err
	})
}
