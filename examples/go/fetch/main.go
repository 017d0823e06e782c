// Fetches one page through crawlgate: go run ./fetch https://target.example/
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"
)

func main() {
	target := "https://target.example/"
	if len(os.Args) > 1 {
		target = os.Args[1]
	}
	address := os.Getenv("CRAWLGATE_PROXY")
	if address == "" {
		address = "127.0.0.1:8010"
	}
	proxy := &url.URL{Scheme: "http", Host: address, User: url.UserPassword(os.Getenv("CRAWLGATE_API_KEY"), "")}
	transport := &http.Transport{Proxy: http.ProxyURL(proxy)}
	if file := os.Getenv("CRAWLGATE_CA"); file != "" {
		pem, err := os.ReadFile(file)
		check(err)
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	// The proxy holds a request back while the website's delay lasts.
	client := &http.Client{Transport: transport, Timeout: 10 * time.Minute}

	// A wrong key on an https page is an error here: the tunnel is refused with 407.
	response, err := client.Get(target)
	check(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	check(err)
	if code := response.Header.Get("X-Crawlera-Error"); code != "" {
		fmt.Fprintf(os.Stderr, "%d %s: %s\n", response.StatusCode, code, body)
		if wait := response.Header.Get("Retry-After"); wait != "" {
			fmt.Fprintf(os.Stderr, "try again in %s s\n", wait)
		}
		os.Exit(1)
	}
	fmt.Printf("%d through %s\n%s\n", response.StatusCode, response.Header.Get("X-Crawlera-Slave"), body)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
