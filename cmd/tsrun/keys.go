package main

import (
	"errors"
	"fmt"
	"io"
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
	"tsrun/sdk"
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
		o.Security, err = store.Own()
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
		Long: `issue makes a key with its certificate for a node in DIR. Bring the file into the
directory of keys of that PC (mode 0600, the directory 0700) and remove it here. With
--master it issues this PC's own certificate anew, as a master's. The certificate that
the node, or the master, had before is revoked. tsrun pair needs no key that travels.`,
		Args: arguments(0, 2, "a node and a directory, or --master"),
	}, func(c *cobra.Command, s *keys.Store, args []string) error {
		validity := time.Duration(days) * 24 * time.Hour
		switch {
		case days < 1 || days > 36500:
			return usage("--days: write 1 to 36500")
		case asMaster && len(args) == 0:
			if err := s.IssueMaster(validity); err != nil {
				return err
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "master.key is in %s; the one before is no good any more\n", text.Printable(s.Dir()))
			return err
		case asMaster || len(args) != 2:
			return usage("write tsrun keys issue NODE DIR, or tsrun keys issue --master")
		}
		if err := recipe.CheckNode(args[0]); err != nil {
			return usage("node: " + err.Error())
		}
		if err := s.Issue(args[0], args[1], validity); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "node-%s.key is in %s; bring it into the directory of keys of that PC, which tsrun keys show names there\n", args[0], text.Printable(args[1]))
		return err
	})
	c.Flags().IntVar(&days, "days", int(keys.Validity/(24*time.Hour)), "how many days it is valid, `N`")
	c.Flags().BoolVar(&asMaster, "master", false, "issue this PC's own certificate as a master")
	return c
}

func newKeysShowCommand() *cobra.Command {
	return withKeys(&cobra.Command{
		Use:   "show",
		Short: "list the keys that this PC has and, where the CA is, what that has issued",
		Long: `show lists the keys of this PC and whether they are good. On the master's PC, where
the CA is, it lists the certificates that this has issued: of each node, and of the
master, only the newest is good.`,
		Args: noArguments,
	}, func(c *cobra.Command, s *keys.Store, _ []string) error {
		kept, err := s.Kept()
		if err != nil {
			return err
		}
		out := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
		showKept(out, s, kept)
		fingerprint, name, err := s.CA()
		var none *sdk.Failure
		if errors.As(err, &none) && none.Code == "no-keys" {
			return out.Flush()
		}
		if err != nil {
			return errors.Join(out.Flush(), err)
		}
		all, err := s.Issued()
		if err != nil {
			return errors.Join(out.Flush(), err)
		}
		fmt.Fprintf(out, "\n%s, fingerprint %s, has issued:\n\nname\tissued\tvalid until\tserial\t\n", name, fingerprint)
		for _, i := range all {
			fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", text.Printable(i.Name), i.At.Format(time.DateOnly), i.Until.Format(time.DateOnly), i.Serial, stateOf(i))
		}
		return out.Flush()
	})
}

func showKept(out io.Writer, s *keys.Store, kept []keys.Kept) {
	if len(kept) == 0 {
		fmt.Fprintf(out, "there are no keys in %s; tsrun pair makes them\n", text.Printable(s.Dir()))
		return
	}
	fmt.Fprintf(out, "keys of this PC in %s:\n\nfile\tname\tvalid until\tlaboratory\tfingerprint of its CA\t\n", text.Printable(s.Dir()))
	for _, k := range kept {
		until, trouble := "", "good"
		if !k.Until.IsZero() {
			until = k.Until.Format(time.DateOnly)
		}
		if k.Trouble != "" {
			trouble = "NO GOOD: " + text.Printable(k.Trouble)
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\n", text.Printable(k.File), text.Printable(k.Name), until, text.Printable(k.Laboratory), k.Fingerprint, trouble)
	}
}

func stateOf(i keys.Issued) string {
	switch {
	case !i.Revoked.IsZero():
		return "revoked " + i.Revoked.Format(time.DateOnly)
	case time.Now().After(i.Until):
		return "expired"
	}
	return "good"
}

func newKeysRevokeCommand() *cobra.Command {
	return withKeys(&cobra.Command{
		Use:   "revoke NAME|SERIAL",
		Short: "revoke the certificates of a node, or one by its serial number",
		Long: `revoke adds certificates to the list of revoked ones. A master of this PC refuses them
from then on, also one that is at work: it closes their connections within seconds.
Slaves are handed the list when they join. A PC that is paired anew, or for which a
certificate is issued anew, needs no revoke: only the newest of a name is good.`,
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
