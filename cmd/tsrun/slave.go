package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"tsrun/pipeline/master"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/slave"
	"tsrun/pipeline/wire"
)

// runSlave serves a master under a name: --mode slave.
func runSlave(ctx context.Context, f *runFlags) error {
	outliveTerminal()
	switch {
	case f.node == "":
		return usage("a slave needs a name: --node NAME, one of the recipe's nodes")
	case f.master == "":
		return usage("a slave needs its master: --master HOST[:STATUSPORT]")
	}
	if err := recipe.CheckNode(f.node); err != nil {
		return usage("--node: " + err.Error())
	}
	address, err := masterAddress(f.master)
	if err != nil {
		return usage(err.Error())
	}
	if err := run.CheckPath(f.data); err != nil {
		return failure(err)
	}
	dirs, err := f.plugins.all()
	if err != nil {
		return err
	}
	o := slave.Options{Node: f.node, Master: address, Once: f.once, Data: f.data, PluginDirs: dirs, Version: version}
	key, own := os.LookupEnv(wire.JoinKey)
	if err := f.secure(&o, own); err != nil {
		return err
	}
	if own {
		return serveOwnMaster(ctx, o, key)
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find tsrun's own program: %w", err)
	}
	asked := interruptions()
	defer asked.close()
	hub, done := showing(f.json)
	o.Observer, o.Interrupts, o.Log = hub, asked.interrupts, slog.New(slave.ObserverLog(hub, f.node))
	master.FinishLocal(ctx, f.data, f.node, master.Options{PluginDirs: dirs, Program: program, Version: version, Observer: hub, Interrupts: asked.interrupts})
	err = slave.Run(ctx, o)
	done()
	if slave.Stopped(err) {
		return &exitError{exitInterrupted, nil}
	}
	return failure(err)
}

// serveOwnMaster is a slave that a master on this PC has started: what it has
// to say goes to the master, and when that tells it to end, it does.
func serveOwnMaster(ctx context.Context, o slave.Options, key string) error {
	if err := os.Unsetenv(wire.JoinKey); err != nil { // it is not for plugins
		return err
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	parent := os.Getppid()
	o.Orphaned = func() bool { return os.Getppid() != parent }
	o.Key, o.Log = key, slog.New(slog.NewTextHandler(os.Stderr, nil))
	err := slave.Run(ctx, o)
	if err != nil && ctx.Err() != nil {
		return &exitError{exitInterrupted, nil}
	}
	return failure(err)
}

// masterAddress adds the usual port where none is given.
func masterAddress(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if bare, whole := withoutBrackets(text); whole && isAddress(bare) || !strings.ContainsAny(text, ":[]") {
		host, port, err = bare, strconv.Itoa(wire.StatusPort), nil
	}
	if err != nil {
		return "", fmt.Errorf("--master %q: %v", text, err)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || host == "" {
		return "", fmt.Errorf("--master %q: write HOST or HOST:PORT", text)
	}
	if err := recipe.CheckHost(host); err != nil && !isAddress(host) {
		return "", fmt.Errorf("--master: %v", err)
	}
	return net.JoinHostPort(host, port), nil
}

// withoutBrackets is an address of IPv6 without the brackets round it; whole: there are
// none, or two.
func withoutBrackets(text string) (bare string, whole bool) {
	bare, opens := strings.CutPrefix(text, "[")
	bare, closes := strings.CutSuffix(bare, "]")
	return bare, opens == closes
}

func isAddress(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && !strings.ContainsAny(ip.Zone(), "[]:") // a zone may be any text
}
