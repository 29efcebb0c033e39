from django.contrib import admin

from bookshop.models import Order
from bookshop.tasks import mail
from sereno_django.admin import enqueue_action


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    list_display = ("customer", "mailed")
    actions = (enqueue_action(mail, "Mail selected orders"),)
