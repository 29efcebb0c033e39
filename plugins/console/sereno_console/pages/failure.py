"""What a person sees where a page cannot be shown."""

from starlette.responses import Response

from sereno_console.pages.environment import page
from sereno_console.web.answers import ProblemError
from sereno_console.web.request import ConsoleRequest


async def failure_page(request: ConsoleRequest, error: ProblemError) -> Response:
    """Return the page of a problem: its sentence, and a way on."""
    answer = await page(request, "failure.html", error.problem.status, problem=error.problem)
    answer.headers.update(error.headers)
    return answer
