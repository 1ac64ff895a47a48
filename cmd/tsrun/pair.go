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
		Use:   "pair [CODE --node NAME]",
		Short: "let another PC take part: prints a code here, to be typed there",
		Long: `pair on the master's PC prints a code and waits until it is used: once, within ten
minutes. pair CODE --node NAME on another PC makes a key there and fetches a certificate
for that node, with which its slave joins this laboratory's masters and no others. The
first pair makes the CA of the laboratory. The port is ` + strconv.Itoa(keys.PairingPort) + ` where --address names no other.`,
		Example: `  tsrun pair
  tsrun pair 192.168.10.1:5561/ABCDE-... --node bob`,
		Args: arguments(0, 1, "at most one code"),
		RunE: func(c *cobra.Command, args []string) error {
			store, err := keys.Open(dir)
			switch {
			case err != nil:
				return failure(err)
			case len(args) == 0 && node != "":
				return usage("--node goes with a code: type tsrun pair on the master's PC, and its code here")
			case len(args) == 0:
				return failure(printCode(c, store, address))
			case node == "":
				return usage("which node of the recipe is this PC? add --node NAME")
			case address != "":
				return usage("--address is the master's; the code has it")
			}
			return failure(joinLaboratory(c, store, args[0], node))
		},
	}
	registerKeys(c.Flags(), &dir)
	c.Flags().StringVar(&address, "address", "", "`HOST[:PORT]` of this PC, as the other one reaches it")
	c.Flags().StringVar(&node, "node", "", "the `NAME` of this PC in the recipe")
	return c
}

// printCode waits for the PC on which the code is typed.
func printCode(c *cobra.Command, store *keys.Store, address string) error {
	address, err := pairingAddress(address)
	if err != nil {
		return err
	}
	p, err := store.Pair(address)
	if err != nil {
		return err
	}
	defer p.Close()
	fmt.Fprintf(c.OutOrStdout(), "tsrun pair %s --node NAME\n", p.Code())
	fmt.Fprintf(c.ErrOrStderr(), "type this on the other PC, with the name that it has in the recipe, within %v\n", keys.CodeValidity)
	ctx, stop := interruptible(c.Context())
	defer stop()
	paired, err := p.Wait(ctx)
	if errors.Is(err, context.Canceled) {
		return &exitError{exitInterrupted, nil}
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.ErrOrStderr(), "%s is paired (%s), until %s\n", paired.Node, paired.Address, paired.Until.Format(time.DateOnly))
	return nil
}

func joinLaboratory(c *cobra.Command, store *keys.Store, typed, node string) error {
	if err := recipe.CheckNode(node); err != nil {
		return usage("--node: " + err.Error())
	}
	code, err := keys.ParseCode(typed)
	if err != nil {
		return err
	}
	paired, err := store.Join(c.Context(), code, node)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s is paired, until %s; its keys are in %s\n", paired.Node, paired.Until.Format(time.DateOnly), text.Printable(store.Dir()))
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
