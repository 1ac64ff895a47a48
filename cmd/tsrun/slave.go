package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"

	"tsrun/pipeline/host"
	"tsrun/pipeline/slave"
)

// defaultStatusPort is the status port of a recipe that does not name one.
const defaultStatusPort = 5559

// runSlave serves a master under a name: --mode slave.
func runSlave(ctx context.Context, f *runFlags) error {
	switch {
	case f.node == "":
		return usage("a slave needs a name: --node NAME, one of the recipe's nodes")
	case f.master == "":
		return usage("a slave needs its master: --master HOST[:STATUSPORT]")
	}
	address, err := masterAddress(f.master)
	if err != nil {
		return usage(err.Error())
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	err = slave.Run(ctx, slave.Options{
		Node: f.node, Master: address, Once: f.once, Data: f.data,
		PluginDirs: host.DefaultDirs(f.pluginDirs), Version: version,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil && ctx.Err() != nil {
		return &exitError{exitInterrupted, nil}
	}
	return failure(err)
}

// masterAddress adds the usual port where none is given.
func masterAddress(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	var missing *net.AddrError
	if errors.As(err, &missing) && missing.Err == "missing port in address" {
		return net.JoinHostPort(text, strconv.Itoa(defaultStatusPort)), nil
	}
	if err != nil {
		return "", fmt.Errorf("--master %q: %v", text, err)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || host == "" {
		return "", fmt.Errorf("--master %q: write HOST or HOST:PORT", text)
	}
	return text, nil
}
