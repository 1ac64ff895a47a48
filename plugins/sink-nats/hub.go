package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"tsrun/sdk"
)

const (
	readyWithin = 20 * time.Second
	leastSync   = time.Second
	mostSync    = 10 * time.Minute
)

// hubFlags are what `tsrun hub` is told.
type hubFlags struct {
	Store, Listen, Sync, TokenFile, Cert, Key string
}

// hubMain is the command `tsrun hub`.
func hubMain(args []string, stdout, stderr io.Writer) int {
	var f hubFlags
	flags := flag.NewFlagSet("tsrun hub", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&f.Store, "store", "", "keep streams in this `DIR`")
	flags.StringVar(&f.Listen, "listen", "127.0.0.1:4222", "`HOST:PORT` to listen on; port 0 for any")
	flags.StringVar(&f.Sync, "sync", "always", "sync each message to the disk before it is acknowledged (`always`), or every so often, as 2m")
	flags.StringVar(&f.TokenFile, "token-file", "", "who connects shows the token in this `FILE`; needed off loopback")
	flags.StringVar(&f.Cert, "cert", "", "PEM `FILE` of a certificate: TLS; with --key")
	flags.StringVar(&f.Key, "key", "", "PEM `FILE` of its key")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if flags.NArg() > 0 || f.Store == "" {
		fmt.Fprintln(stderr, "tsrun hub: write tsrun hub --store DIR [--listen HOST:PORT] [--sync always|2m] [--token-file FILE] [--cert FILE --key FILE]")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	h, err := startHub(f)
	if err == nil {
		defer h.stop()
		err = json.NewEncoder(stdout).Encode(map[string]any{"listening": map[string]string{"url": h.url(), "store": f.Store, "sync": f.Sync}})
	}
	if err != nil {
		fmt.Fprintf(stderr, "tsrun hub: %v\n", err)
		return 1
	}
	<-ctx.Done()
	return 0
}

// hub is a NATS server in this program, with JetStream, that says how it keeps messages.
type hub struct {
	server *server.Server
	asked  *nats.Conn // within this process: answers about settings
	tls    bool
}

func startHub(f hubFlags) (*hub, error) {
	options, err := f.options()
	if err != nil {
		return nil, err
	}
	s, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("make the server: %w", err)
	}
	h := &hub{server: s, tls: options.TLSConfig != nil}
	go s.Start()
	if !s.ReadyForConnections(readyWithin) {
		h.stop()
		return nil, &sdk.Failure{Code: "hub-not-ready", Message: fmt.Sprintf("the server is not ready at %s within %v", f.Listen, readyWithin),
			Hint: "is the port taken, or the directory in use by another?"}
	}
	if !s.JetStreamEnabled() {
		h.stop()
		return nil, &sdk.Failure{Code: "hub-store", Message: "the server cannot keep streams in " + f.Store, Hint: "is the directory writable, its disk full?"}
	}
	h.asked, err = nats.Connect("", nats.InProcessServer(s), nats.Token(options.Authorization), nats.Name("tsrun hub"))
	if err == nil {
		var answer []byte
		if answer, err = json.Marshal(hubSettings{ServerID: s.ID(), Sync: f.Sync}); err == nil {
			_, err = h.asked.Subscribe(settingsSubject, func(m *nats.Msg) { _ = m.Respond(answer) }) // who asks has a deadline
		}
	}
	if err != nil {
		h.stop()
		return nil, fmt.Errorf("answer about settings: %w", err)
	}
	return h, nil
}

// options checks what was told.
func (f hubFlags) options() (*server.Options, error) {
	host, port, err := net.SplitHostPort(f.Listen)
	number, bad := strconv.Atoi(port)
	if err != nil || bad != nil || number < 0 || number > 65535 {
		return nil, usage("--listen "+clip(f.Listen)+" is no address", "write HOST:PORT, such as 127.0.0.1:4222")
	}
	if number == 0 {
		number = server.RANDOM_PORT
	}
	store, err := filepath.Abs(f.Store)
	if err == nil {
		err = os.MkdirAll(store, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("make the directory of the streams: %w", err)
	}
	o := &server.Options{ServerName: "tsrun-hub", Host: host, Port: number, JetStream: true, StoreDir: store, NoSigs: true, NoLog: true,
		MaxPayload: server.MAX_PAYLOAD_SIZE}
	if f.Sync == "always" {
		o.SyncAlways = true
	} else if o.SyncInterval, err = time.ParseDuration(f.Sync); err != nil || o.SyncInterval < leastSync || o.SyncInterval > mostSync {
		return nil, usage("--sync "+clip(f.Sync)+" is not known", "write always, or a time from 1s to 10m")
	}
	if f.TokenFile != "" {
		if o.Authorization, err = readSecret("token_file", f.TokenFile); err != nil {
			return nil, err
		}
	} else if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, usage("--listen "+clip(f.Listen)+" is reached from other PCs, and anybody could write", "name a file with a token: --token-file FILE; or listen on 127.0.0.1")
	}
	if (f.Cert == "") != (f.Key == "") {
		return nil, usage("TLS needs --cert and --key", "give both, or none")
	}
	if f.Cert != "" {
		if o.TLSConfig, err = server.GenTLSConfig(&server.TLSConfigOpts{CertFile: f.Cert, KeyFile: f.Key}); err != nil {
			return nil, fmt.Errorf("read the certificate: %w", err)
		}
		o.TLS = true
	}
	return o, nil
}

func usage(message, hint string) error {
	return &sdk.Failure{Code: "bad-flag", Message: message, Hint: hint}
}

func (h *hub) url() string {
	scheme := "nats://"
	if h.tls {
		scheme = "tls://"
	}
	return scheme + h.server.Addr().String()
}

func (h *hub) stop() {
	if h.asked != nil {
		h.asked.Close()
	}
	h.server.Shutdown()
	h.server.WaitForShutdown()
}
