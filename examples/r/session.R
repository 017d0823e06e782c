# Opens a page, then sends a form through the same upstream: Rscript session.R https://target.example/
library(httr)

arguments <- commandArgs(trailingOnly = TRUE)
url <- if (length(arguments) > 0) arguments[1] else "https://target.example/"
proxy <- strsplit(Sys.getenv("CRAWLGATE_PROXY", "127.0.0.1:8010"), ":")[[1]]
ca <- Sys.getenv("CRAWLGATE_CA")

set_config(use_proxy(proxy[1], as.integer(proxy[2]), Sys.getenv("CRAWLGATE_API_KEY"), "", auth = "basic"))
if (nzchar(ca)) set_config(config(cainfo = ca))

controls <- function(session) {
  add_headers("X-Crawlera-Session" = session, "X-Crawlera-Profile" = "desktop")
}

checked <- function(response) {
  error <- headers(response)[["X-Crawlera-Error"]]
  if (!is.null(error)) stop(error, ": ", content(response, "text", encoding = "UTF-8"))
  response
}

page <- checked(GET(url, controls("create"), timeout(600)))
session <- headers(page)[["X-Crawlera-Session"]]
cat("session ", session, "\n", content(page, "text", encoding = "UTF-8"), "\n", sep = "")

answer <- checked(POST(url, controls(session), body = list(q = "blue shoes"), encode = "form", timeout(600)))
cat(content(answer, "text", encoding = "UTF-8"), "\n", sep = "")
