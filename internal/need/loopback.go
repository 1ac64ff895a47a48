package need

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Loopback needs an address of this PC's loopback at which some ports are free, and returns
// one. It is chosen by chance, so that the same test of another checkout has another.
func Loopback(t testing.TB, ports ...int) string {
	t.Helper()
	const trials = 20
	for trial := 1; ; trial++ {
		address := net.IPv4(127, byte(1+rand.IntN(250)), byte(rand.IntN(250)), byte(2+rand.IntN(250))).String()
		taken := free(address, ports)
		if taken == nil {
			return address
		}
		if trial == trials {
			missing(t, fmt.Sprintf("a port that this test needs is taken at every address of this PC: %v; end the program that listens there", taken))
		}
	}
}

func free(address string, ports []int) error {
	for _, port := range ports {
		l, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
		if err != nil {
			return err
		}
		l.Close()
	}
	return nil
}
