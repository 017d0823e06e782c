module crawlgate.example/clients

go 1.19
