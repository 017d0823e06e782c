// Opens a page, then sends a form through the same upstream: go run ./session https://target.example/
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

func client() *http.Client {
	address := os.Getenv("CRAWLGATE_PROXY")
	if address == "" {
		address = "127.0.0.1:8010"
	}
	proxy := &url.URL{Scheme: "http", Host: address, User: url.UserPassword(os.Getenv("CRAWLGATE_API_KEY"), "")}
	transport := &http.Transport{Proxy: http.ProxyURL(proxy)}
	if file := os.Getenv("CRAWLGATE_CA"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			log.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return &http.Client{Transport: transport, Timeout: 10 * time.Minute}
}

func ask(client *http.Client, request *http.Request, session string) (string, string) {
	request.Header.Set("X-Crawlera-Session", session)
	request.Header.Set("X-Crawlera-Profile", "desktop")
	response, err := client.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	// Read to its end, or the connection is not used again.
	body, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	if code := response.Header.Get("X-Crawlera-Error"); code != "" {
		log.Fatalf("%s: %s", code, body)
	}
	return response.Header.Get("X-Crawlera-Session"), string(body)
}

func main() {
	target := "https://target.example/"
	if len(os.Args) > 1 {
		target = os.Args[1]
	}
	client := client()

	get, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		log.Fatal(err)
	}
	session, page := ask(client, get, "create")
	fmt.Printf("session %s\n%s\n", session, page)

	form := url.Values{"q": {"blue shoes"}}
	post, err := http.NewRequest(http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		log.Fatal(err)
	}
	post.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	_, answer := ask(client, post, session)
	fmt.Println(answer)
}
