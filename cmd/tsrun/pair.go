package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tsrun/pipeline/keys"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/text"
	"tsrun/sdk"
)

func newPairCommand() *cobra.Command {
	var dir, address, node string
	c := &cobra.Command{
		Use:   "pair [CODE] [--node NAME]",
		Short: "let another PC take part: prints a code here, to be typed there",
		Long: `pair on the master's PC prints what to type on the other PC, with a code, and waits
until it is used: once, within ten minutes. There it makes a key and fetches a
certificate for the node NAME, with which the slave of that PC joins this laboratory's
masters and no others. NAME is the name that the PC has in the recipe; --node on the
master's PC makes the code good for that name alone. A node that was paired before gets
a new certificate, and the old one is no good any more. The first pair makes the CA of
the laboratory. The port is ` + strconv.Itoa(keys.PairingPort) + ` where --address names no other.`,
		Example: `  on the master's PC:  tsrun pair --node bob
  on the other:        tsrun pair 192.168.10.1:5561/ABCDE-... --node bob`,
		RunE: func(c *cobra.Command, args []string) error {
			if node != "" {
				if err := recipe.CheckNode(node); err != nil {
					return usage("--node: " + err.Error())
				}
			}
			store, err := keys.Open(dir)
			switch {
			case err != nil:
				return failure(err)
			case len(args) == 0:
				return failure(printCode(c, store, address, node))
			case address != "":
				return usage("--address is the master's; the code has it")
			}
			code, err := keys.ParseCode(strings.Join(args, "")) // it may have been typed with spaces
			if err != nil {
				return failure(err)
			}
			if node == "" {
				return usage("which node of the recipe is this PC? add --node NAME")
			}
			return failure(joinLaboratory(c, store, code, node))
		},
	}
	registerKeys(c.Flags(), &dir)
	c.Flags().StringVar(&address, "address", "", "`HOST[:PORT]` of this PC, as the other one reaches it")
	c.Flags().StringVar(&node, "node", "", "the `NAME` in the recipe of the PC that is let in")
	return c
}

// printCode waits for the PC on which the code is typed.
func printCode(c *cobra.Command, store *keys.Store, address, node string) error {
	address, err := pairingAddress(address)
	if err != nil {
		return err
	}
	p, err := store.Pair(address, node)
	if err != nil {
		return err
	}
	defer p.Close()
	name, also := node, ""
	if node == "" {
		name, also = "NAME", " (NAME is the one that it has in the recipe)"
	}
	fmt.Fprintf(c.OutOrStdout(), "tsrun pair %s --node %s\n", p.Code(), name)
	fmt.Fprintf(c.ErrOrStderr(), "type this on the other PC within %v%s; waiting for it, Ctrl-C ends that\n", keys.CodeValidity, also)
	ctx, stop := interruptible(c.Context())
	defer stop()
	told := make(chan struct{})
	go func() { // ends with ctx
		defer close(told)
		for {
			select {
			case from := <-p.Wrong():
				fmt.Fprintf(c.ErrOrStderr(), "a wrong code was tried from %s\n", from)
			case <-ctx.Done():
				return
			}
		}
	}()
	paired, err := p.Wait(ctx)
	stop()
	<-told
	if errors.Is(err, context.Canceled) {
		return &exitError{exitInterrupted, nil}
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.ErrOrStderr(), "%s is paired (%s), until %s%s\n", paired.Node, paired.Address, paired.Until.Format(time.DateOnly), replaced(paired))
	return nil
}

func replaced(p *keys.Paired) string {
	if p.Replaced {
		return "; the certificate that it had before is no good any more"
	}
	return ""
}

func joinLaboratory(c *cobra.Command, store *keys.Store, code keys.Code, node string) error {
	paired, err := store.Join(c.Context(), code, node)
	if err != nil {
		return err
	}
	host, _, _ := net.SplitHostPort(code.Address) // ParseCode has seen to it
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	fmt.Fprintf(c.OutOrStdout(), "%s is paired, until %s%s; its keys are in %s\n", paired.Node, paired.Until.Format(time.DateOnly), replaced(paired), text.Printable(store.Dir()))
	_, err = fmt.Fprintf(c.ErrOrStderr(), "next: tsrun --mode slave --node %s --master %s\n", node, host)
	return err
}

// pairingAddress returns where this PC is reached: what the user says, or its only address.
func pairingAddress(named string) (string, error) {
	if named != "" {
		host, port, err := net.SplitHostPort(named)
		if err != nil {
			host, port = strings.Trim(named, "[]"), strconv.Itoa(keys.PairingPort)
		}
		if err := recipe.CheckHost(host); err != nil && !isAddress(host) {
			return "", usage("--address: " + err.Error())
		}
		if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
			return "", usage("--address " + host + " is every address: name the one that the other PC reaches")
		}
		return net.JoinHostPort(host, port), nil
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return "", fmt.Errorf("look for an address of this PC: %w", err)
	}
	var found []string
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			found = append(found, n.IP.String())
		}
	}
	if len(found) != 1 {
		which := "none that others reach"
		if len(found) > 1 {
			which = strings.Join(found, ", ")
		}
		return "", &sdk.Failure{Code: "which-address", Message: "the addresses of this PC: " + which, Hint: "say which one the other PC reaches: tsrun pair --address HOST"}
	}
	return net.JoinHostPort(found[0], strconv.Itoa(keys.PairingPort)), nil
}
