# Fetches one page through crawlgate: Rscript fetch.R https://target.example/
library(httr)

arguments <- commandArgs(trailingOnly = TRUE)
url <- if (length(arguments) > 0) arguments[1] else "https://target.example/"
proxy <- strsplit(Sys.getenv("CRAWLGATE_PROXY", "127.0.0.1:8010"), ":")[[1]]
ca <- Sys.getenv("CRAWLGATE_CA")

set_config(use_proxy(proxy[1], as.integer(proxy[2]), Sys.getenv("CRAWLGATE_API_KEY"), "", auth = "basic"))
if (nzchar(ca)) set_config(config(cainfo = ca))

# The proxy holds a request back while the website's delay lasts.
response <- tryCatch(GET(url, timeout(600)), error = function(problem) {
  # A wrong key on an https page ends here: the tunnel is refused with 407.
  message(conditionMessage(problem))
  quit(status = 1)
})

error <- headers(response)[["X-Crawlera-Error"]]
if (!is.null(error)) {
  message(status_code(response), " ", error, ": ", content(response, "text", encoding = "UTF-8"))
  wait <- headers(response)[["Retry-After"]]
  if (!is.null(wait)) message("try again in ", wait, " s")
  quit(status = 1)
}
cat(status_code(response), " through ", headers(response)[["X-Crawlera-Slave"]], "\n", sep = "")
cat(content(response, "text", encoding = "UTF-8"), "\n", sep = "")
